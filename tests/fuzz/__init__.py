"""A hunt for wrong answers: random notebooks, each run as a notebook and as a pipeline.

patterns   how the grammar is written down
ordinary   the statements that people write
vicious    those that hardly anybody does
arrays, frames, learning, holders  those of notebooks with data, by what they are about
choices    those in which parameters decide, and what is given for these
grammar    all of them by level, and the names that they have
notebook   what a notebook is here, and its text in the notation of `tests.cases`
generator  a random notebook
showing    what it shows in the end
forks      calls in processes of their own
runs       runs a pipeline
judge      runs a notebook both ways and compares
reducer    makes a failing notebook small
hunt       all of that for one notebook

`python -m tests.fuzz 1000` hunts; `tests/test_fuzz.py` does so a little, always in the same way.
"""
