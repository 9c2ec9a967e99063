"""From what cells do to who makes what a step reads.

bindings      what a name stands for
lookup        a name is looked up: what the step needs then
sharing       which values may share an object
changes       an object is changed: who sees it
calls         what is called: what that changes
walk          through the cells, effect by effect
surroundings  what a step sets or gets that no variable has: modules, the folder, the clock
state         settings that one step makes and another one would see, and `visibility` of them
files         files that two steps share
unseen        names of which no cell says who makes them
history       what running the cells in another order has done to the session
notebook      all marked cells, and what there is to tell about them
edges         which step hands what to which other one, and in which order they can run
"""
