"""Tasks that are executed as containerised Dagger workflows."""
