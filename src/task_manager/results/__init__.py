"""The parts of `ResultProcessor`: what results look like, reading reports, and why a command failed."""
