"""The parts of the pipeline runner: images, containers, outputs, custom functions."""
