"""Layers on a GPU: the plan's kernels beside the library's direct convolution, verified, then timed by events."""
