"""The pages: which sections they have, and what their buttons do."""
