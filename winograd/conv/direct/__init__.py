"""torch's own convolution, and its faster variants."""
