"""How wrong an algorithm is in a dtype: orders, references, experiments, bounds, the model, and the search."""
