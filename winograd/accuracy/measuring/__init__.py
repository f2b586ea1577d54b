"""The parts of a measurement: inputs, the rounded pipeline, sums, intervals, kernels as orders."""
