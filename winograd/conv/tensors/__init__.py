"""What there is to know of torch tensors, whoever computes with them."""
