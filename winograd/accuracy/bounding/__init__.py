"""The parts of the worst case: transforms, stages, adversarial inputs, what underflow loses."""
