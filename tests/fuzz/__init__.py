"""A hunt for wrong answers: random notebooks, each run as a notebook and as a pipeline.

patterns   how the grammar is written down
ordinary   the statements that people write
vicious    those that hardly anybody does
grammar    the two, and the names that they have
notebook   what a notebook is here, and its text in the notation of `tests.cases`
generator  a random notebook
forks      calls in processes of their own
runs       runs a pipeline
judge      runs a notebook both ways and compares
reducer    makes a failing notebook small
hunt       all of that for one notebook

`python -m tests.fuzz 1000` hunts; `tests/test_fuzz.py` does so a little, always in the same way.
"""
