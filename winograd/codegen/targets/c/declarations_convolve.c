/* A convolution: input x is [batch][depth][height][width][channels], or with channels first [batch][channels][depth]
   [height][width]; output y the one or the other, with outputs for channels. */
typedef struct {
    int64_t batch, channels, outputs; /* each at least 1 */
    int64_t size[3]; /* inputs along depth, height, width; padded, no axis is smaller than the filter */
    int64_t low[3]; /* zeros before the first input, at least 0 */
    int64_t high[3]; /* zeros after the last input, at least 0 */
    int64_t x_channels_first, y_channels_first; /* 1 or 0 */
    /* The next two change the speed, not the result; 0 lets the code choose. */
    int64_t schedule; /* NAME_FUSED_BLOCKS or NAME_STAGED_BLOCKS */
    int64_t block; /* tiles that are held at a time, as V and M: by every thread, or by all of them */
} NAME_shape;

enum {
    NAME_ANY_SCHEDULE, /* the code chooses */
    NAME_FUSED_BLOCKS, /* every thread takes blocks of tiles through all stages, and reads the packed filter for each */
    NAME_STAGED_BLOCKS /* all threads take a block of tiles through one stage after the other */
};

/* Outputs of a panel: the width that the packed filter was made for. */
int64_t NAME_panel(void);

/* Numbers (NAME_real) of the packed filter; -1 where NAME_filter refuses channels or outputs. */
int64_t NAME_filter_floats(int64_t channels, int64_t outputs);

/* Numbers (NAME_real) of workspace that NAME_convolve needs on this many threads; -1 where it refuses the shape. */
int64_t NAME_workspace_floats(const NAME_shape *shape, int64_t threads);

/* Transforms the filter w [output][channel][depth][height][width] in double, rounds once, and packs it into u
   [position][panel][channel][output of the panel].
   At most `threads` threads are used, one if that is less than 1. Returns NULL, or what is wrong. */
const char *NAME_filter(const NAME_stored *w, int64_t channels, int64_t outputs, NAME_real *u, int64_t threads);

/* y = convolution of x with the filter that NAME_filter packed into u, plus bias [output], plus residual, which is like y;
   each of the two may be NULL; then, if relu is 1, negative values become zero.
   workspace: NAME_workspace_floats(shape, threads) numbers, aligned to 64 bytes; at most `threads` threads are used,
   one if that is less than 1. Returns NULL, or what is wrong with its arguments, and then writes nothing. */
const char *NAME_convolve(const NAME_shape *shape, const NAME_stored *x, const NAME_real *u, const NAME_real *bias,
                          const NAME_stored *residual, int relu, NAME_stored *y, NAME_real *workspace,
                          int64_t threads);
