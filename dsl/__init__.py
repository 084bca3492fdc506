"""The language: YAML text to a checked, normalised model. Knows nothing of Temporal."""
