"""Choosing an algorithm: candidates, their errors, what stands against them, and the fastest."""
