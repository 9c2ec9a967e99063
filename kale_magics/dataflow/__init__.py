"""From marked cells to a pipeline: the inputs, outputs and dependencies of each step."""
