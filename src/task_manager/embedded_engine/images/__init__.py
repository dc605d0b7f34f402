"""Images: references, registries, layouts on disk, unpacking."""
