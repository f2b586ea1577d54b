"""What a convolution is, in integers: its shape, and the phases of stride, dilation and groups."""
