"""The Dagger API without a daemon: sessions, a layer store and a sandbox in one process tree."""
