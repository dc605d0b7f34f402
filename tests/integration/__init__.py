"""Tests on the embedded engine: real namespaces, real registries, real commands."""
