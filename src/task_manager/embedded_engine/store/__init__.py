"""The layer store: content-addressed results on disk."""
