"""Running commands in namespaces of their own."""
