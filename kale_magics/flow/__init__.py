"""From what cells do to who makes what a step reads.

bindings  what a name stands for
lookup    a name is looked up: what the step needs then
changes   an object is changed: who sees it
walk      through the cells, effect by effect
notebook  all marked cells, and what there is to tell about them
"""
