"""Parse the arguments of magics: options, marks, values of parameters."""
