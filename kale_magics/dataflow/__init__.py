"""From marked cells to a pipeline: what each step takes from which other one."""
