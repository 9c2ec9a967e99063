"""The embedded engine: runs a pipeline on this machine."""
