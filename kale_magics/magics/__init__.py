"""The magics of IPython, with their completion, settings and state."""
