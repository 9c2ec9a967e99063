"""Runs: their handle, events, results and files; and the interface of backends."""
