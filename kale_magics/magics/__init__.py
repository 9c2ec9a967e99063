"""The magics: parse, call one thing, show it."""
