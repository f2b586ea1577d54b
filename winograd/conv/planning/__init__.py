"""Planning: which plan a convolution gets, and how it is explained."""
