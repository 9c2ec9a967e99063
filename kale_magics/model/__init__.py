"""The model of a pipeline: steps, graph, options, programs; and diagnostics."""
