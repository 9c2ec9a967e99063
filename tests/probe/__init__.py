"""Calls the public functions and methods of libraries on small samples, and records what they do to them.

samples      small values, by kind, and which kinds suit a parameter's name
states       what can be compared of a value before and after a call
reach        which objects and which memory a value holds
signatures   the parameters of a callable
trials       one call, and what it did
findings     the calls of one callable, and what they say together
instances    the objects whose methods are called
targets      which callables of which libraries
worker       one library in a process of its own, with time limits
data         findings as kale_magics/analysis/library_effects.json, and back
"""
