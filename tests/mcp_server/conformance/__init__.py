"""The protocol's official suite, and the fixtures that it asks of a server."""
