"""Convolution on GPUs of NVIDIA: cards, their roofline, plans, emitted Triton code, and how it is run and tuned."""
