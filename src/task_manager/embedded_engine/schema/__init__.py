"""The API's schema: names and types, and what is built from them."""
