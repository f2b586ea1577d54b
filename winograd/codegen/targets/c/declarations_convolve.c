/* A convolution: input x is [batch][depth][height][width][channels], output y the same with outputs for channels. */
typedef struct {
    int64_t batch, channels, outputs; /* each at least 1 */
    int64_t size[3]; /* inputs along depth, height, width; padded, no axis is smaller than the filter */
    int64_t low[3]; /* zeros before the first input, at least 0 */
    int64_t high[3]; /* zeros after the last input, at least 0 */
    /* The next two change the speed, not the result; 0 lets the code choose: 16 tiles a thread, or as many more as have
       V and M in half a MiB. */
    int64_t block; /* tiles that are transformed, as V, before they are multiplied */
    int64_t task; /* those of them that one thread multiplies, into M, at a time */
} NAME_shape;

/* Outputs of a panel: the width that the packed filter was made for. */
int64_t NAME_panel(void);

/* Numbers (NAME_real) of the packed filter; -1 where NAME_filter refuses channels or outputs. */
int64_t NAME_filter_floats(int64_t channels, int64_t outputs);

/* Numbers (NAME_real) of workspace that NAME_convolve needs on this many threads; -1 where it refuses the shape. */
int64_t NAME_workspace_floats(const NAME_shape *shape, int64_t threads);

/* Transforms the filter w [output][channel][depth][height][width] in double, rounds once, and packs it into u
   [panel][position][channel][output of the panel].
   At most `threads` threads are used, one if that is less than 1. Returns NULL, or what is wrong. */
const char *NAME_filter(const NAME_stored *w, int64_t channels, int64_t outputs, NAME_real *u, int64_t threads);

/* y = convolution of x with the filter that NAME_filter packed into u; bias may be NULL; relu is 0 or 1.
   workspace: NAME_workspace_floats(shape, threads) numbers, aligned to 64 bytes; at most `threads` threads are used,
   one if that is less than 1. Returns NULL, or what is wrong with its arguments, and then writes nothing. */
const char *NAME_convolve(const NAME_shape *shape, const NAME_stored *x, const NAME_real *u, const NAME_real *bias,
                          int relu, NAME_stored *y, NAME_real *workspace, int64_t threads);
