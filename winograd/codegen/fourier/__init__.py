"""Fourier transforms of tiles as programs: codelets along an axis, lines of a tile, the tile of an FFT convolution."""
