"""What the live kernel knows: marked cells, values, what cells changed, the notebook's file."""
