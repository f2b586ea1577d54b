"""From matrices to code: straight-line programs, their meaning, their printers, and the cache of compiled kernels."""
