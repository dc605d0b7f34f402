"""The operations, one module for each subject."""
