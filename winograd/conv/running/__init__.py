"""Running plans on torch tensors."""
