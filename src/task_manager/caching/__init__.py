"""The parts of the cache of results: keys, entries, tiers, figures, explanations."""
