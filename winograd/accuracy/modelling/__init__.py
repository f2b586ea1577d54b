"""The parts of the second-moment model: roundings, moments, variances, distributions."""
