"""The tests of the project and the real parts they run against."""
