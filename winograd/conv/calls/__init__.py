"""Calls with tensors: who computes them, and what is remembered of them."""
