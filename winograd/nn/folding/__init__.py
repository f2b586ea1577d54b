"""Folding: batch norms computed inside of the convolutions before them, and ReLUs behind those, in place and undone."""
