"""What is typed behind magics: options, marks, values of parameters."""
