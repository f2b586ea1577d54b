"""Running it: shapes, plans with their cost model, the backends, and the functions that users call."""
