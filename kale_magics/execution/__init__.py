"""What a run is, wherever it runs."""
