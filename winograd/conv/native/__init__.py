"""The native backend: generated C on torch tensors, how it orders its work, and what it takes in memory."""
