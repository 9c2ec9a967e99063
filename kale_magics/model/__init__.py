"""What is to be run: pipelines, names, programs, diagnostics."""
