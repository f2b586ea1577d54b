"""Gradients of convolutions: their plans, and what runs these."""
