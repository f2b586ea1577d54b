"""Pictures of error figures: one figure a module, plain data in, a matplotlib figure out."""
