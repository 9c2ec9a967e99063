"""The check of a run against the notebook."""
