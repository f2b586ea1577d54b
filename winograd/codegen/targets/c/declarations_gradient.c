/* The gradient of the filter of a convolution: from the input x, [batch][depth][height][width][channels], or with channels
   first [batch][channels][depth][height][width], and the gradient dy of the output, the one or the other, with outputs for
   channels. */
typedef struct {
    int64_t batch, channels, outputs; /* each at least 1 */
    int64_t size[3]; /* inputs along depth, height, width; padded, no axis is smaller than the filter */
    int64_t low[3]; /* zeros before the first input, at least 0 */
    int64_t high[3]; /* zeros after the last input, at least 0 */
    int64_t x_channels_first, y_channels_first; /* 1 or 0 */
    int64_t block; /* tiles that are held at a time, as V and M: the order of sums follows from it; 0 lets the code choose */
} NAME_shape;

/* Numbers (NAME_real) of workspace that NAME_filter_gradient needs on this many threads; -1 where it refuses the shape. */
int64_t NAME_workspace_floats(const NAME_shape *shape, int64_t threads);

/* dw [output][channel][depth][height][width] = the gradient of the filter.
   workspace: NAME_workspace_floats(shape, threads) numbers, aligned to 64 bytes; at most `threads` threads are used,
   one if that is less than 1; dw is the same, bit for bit, on any number of them. Returns NULL, or what is wrong with its
   arguments, and then writes nothing. */
const char *NAME_filter_gradient(const NAME_shape *shape, const NAME_stored *x, const NAME_stored *dy, NAME_stored *dw,
                                 NAME_real *workspace, int64_t threads);
