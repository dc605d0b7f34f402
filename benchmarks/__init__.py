"""Benchmarks of the product's parts, each with the goal that its figure is held to."""
