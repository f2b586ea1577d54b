/* The transforms work on tiles that lie side by side: element number e of tile number t is at x[e * x_stride + t], so
   that a vector holds the same element of neighbouring tiles. Elements of a tile are numbered with its last axis
   fastest. Strides and counts are in numbers, not bytes; x and y must not overlap; any alignment will do.
   Every transform returns NULL, or what is wrong with its arguments, and then writes nothing. */
