"""Transposed convolutions: their shapes, plans and runs, as convolutions of stride 1."""
