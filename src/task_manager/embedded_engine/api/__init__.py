"""The GraphQL types of the Dagger API, one module per family."""
