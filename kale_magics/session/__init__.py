"""The live kernel: marked cells, values, observed effects of cells, the notebook's file."""
