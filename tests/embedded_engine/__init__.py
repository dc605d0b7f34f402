"""The embedded engine: its parts, and whole sessions through the official SDK."""
