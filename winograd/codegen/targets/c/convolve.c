/* The convolution. Input x is [batch][depth][height][width][channels], output y the same with outputs for channels;
   the packed filter U is [panel][position][channel][NAME_PANEL]. Three stages for every block of tiles: data transform
   into V [position][tile][channel], products into M [position][tile][NAME_PANEL], inverse transform with bias and ReLU
   into y. */
#ifdef _OPENMP
#include <omp.h>
#endif

typedef struct {
    int64_t batch, channels, outputs; /* each at least 1 */
    int64_t size[3]; /* inputs along depth, height, width; padded, no axis is smaller than the filter */
    int64_t low[3]; /* zeros before the first input, at least 0 */
    int64_t high[3]; /* zeros after the last input, at least 0 */
    int64_t block; /* tiles whose V is held at a time; less than 1 counts as 1 */
    int64_t task; /* tiles of one task, whose M is held by one thread; less than 1 counts as 1 */
} NAME_shape;

enum {
    /* One cache line between positions keeps equal strides of 4 KiB, which would share a cache set, from happening. */
    NAME_PAD = 64 / (int)sizeof(NAME_real),
    /* Numbers in the vectors of a tile, in whole cache lines. */
    NAME_BUFFER = (NAME_POSITIONS * NAME_WIDTH + NAME_PAD - 1) / NAME_PAD * NAME_PAD
};

static const int64_t NAME_outputs_of_tile[3] = {NAME_M0, NAME_M1, NAME_M2};
static const int64_t NAME_taps[3] = {NAME_R0, NAME_R1, NAME_R2};

static int64_t NAME_axis_output(const NAME_shape *shape, int axis)
{
    return shape->size[axis] + shape->low[axis] + shape->high[axis] - NAME_taps[axis] + 1;
}

static int64_t NAME_axis_tiles(const NAME_shape *shape, int axis)
{
    return (NAME_axis_output(shape, axis) + NAME_outputs_of_tile[axis] - 1) / NAME_outputs_of_tile[axis];
}

static int64_t NAME_tiles(const NAME_shape *shape)
{
    return shape->batch * NAME_axis_tiles(shape, 0) * NAME_axis_tiles(shape, 1) * NAME_axis_tiles(shape, 2);
}

static int64_t NAME_panels(int64_t outputs)
{
    return (outputs + NAME_PANEL - 1) / NAME_PANEL;
}

static int64_t NAME_block(const NAME_shape *shape)
{
    return NAME_max(NAME_min(shape->block, NAME_tiles(shape)), 1);
}

static int64_t NAME_task_tiles(const NAME_shape *shape)
{
    return NAME_max(NAME_min(shape->task, NAME_block(shape)), 1);
}

static int64_t NAME_v_stride(const NAME_shape *shape)
{
    return (NAME_block(shape) * shape->channels + NAME_PAD - 1) / NAME_PAD * NAME_PAD + NAME_PAD;
}

static int64_t NAME_m_stride(const NAME_shape *shape)
{
    return NAME_task_tiles(shape) * NAME_PANEL + NAME_PAD;
}

static int64_t NAME_zeros(const NAME_shape *shape)
{
    return (shape->channels + NAME_WIDTH + NAME_PAD - 1) / NAME_PAD * NAME_PAD;
}

/* Numbers of one thread: M, the vectors of one tile, and the addresses of its inputs. */
static int64_t NAME_thread_floats(const NAME_shape *shape)
{
    const int64_t addresses = NAME_INPUTS * ((int64_t)sizeof(NAME_stored *) / (int64_t)sizeof(NAME_real));
    const int64_t floats = NAME_POSITIONS * NAME_m_stride(shape) + NAME_BUFFER + addresses;
    return (floats + NAME_PAD - 1) / NAME_PAD * NAME_PAD + NAME_PAD;
}

/* NULL, or what is wrong with a shape. */
static const char *NAME_wrong_shape(const NAME_shape *shape)
{
    if (shape == NULL)
        return "shape is NULL";
    if (shape->batch < 1 || shape->channels < 1 || shape->outputs < 1)
        return "batch, channels and outputs must be at least 1";
    for (int axis = 0; axis < 3; ++axis) {
        if (shape->size[axis] < 1)
            return "size must be at least 1 on every axis";
        if (shape->low[axis] < 0 || shape->high[axis] < 0)
            return "low and high must be at least 0 on every axis";
        if (NAME_axis_output(shape, axis) < 1)
            return "size + low + high is smaller than the filter on an axis";
    }
    return NULL;
}

/* Outputs of a panel: the width that the packed filter was made for. */
int64_t NAME_panel(void)
{
    return NAME_PANEL;
}

/* Numbers (NAME_real) of the packed filter. */
int64_t NAME_filter_floats(int64_t channels, int64_t outputs)
{
    return NAME_panels(outputs) * NAME_POSITIONS * channels * NAME_PANEL;
}

/* Numbers (NAME_real) of workspace that NAME_convolve needs on this many threads. */
int64_t NAME_workspace_floats(const NAME_shape *shape, int64_t threads)
{
    return NAME_zeros(shape) + NAME_POSITIONS * NAME_v_stride(shape) + NAME_max(threads, 1) * NAME_thread_floats(shape);
}

/* Transforms the filter w [output][channel][depth][height][width] in double, rounds once, and packs it into u.
   Returns NULL, or what is wrong; at most `threads` threads are used. */
const char *NAME_filter(const NAME_stored *w, int64_t channels, int64_t outputs, NAME_real *u, int64_t threads)
{
    if (w == NULL || u == NULL)
        return "w and u must not be NULL";
    if (channels < 1 || outputs < 1)
        return "channels and outputs must be at least 1";
    const int64_t panels = NAME_panels(outputs);
    int failed = 0;
#ifdef _OPENMP
#pragma omp parallel reduction(| : failed) num_threads((int)NAME_max(threads, 1))
#endif
    {
        double *buffer = malloc(sizeof(double) * NAME_POSITIONS * NAME_PANEL);
        failed = buffer == NULL;
#ifdef _OPENMP
#pragma omp for schedule(static)
#endif
        for (int64_t panel = 0; panel < panels; ++panel) {
            if (failed)
                continue;
            const int64_t lanes = NAME_min(NAME_PANEL, outputs - panel * NAME_PANEL);
            NAME_real *target = u + panel * NAME_POSITIONS * channels * NAME_PANEL;
            for (int64_t c = 0; c < channels; ++c)
                NAME_filter_panel(w + (panel * NAME_PANEL * channels + c) * NAME_TAPS, channels * NAME_TAPS, lanes,
                                  target + c * NAME_PANEL, channels * NAME_PANEL, buffer);
        }
        free(buffer);
    }
    (void)threads;
    return failed ? "no memory for the transform of a filter" : NULL;
}

/* The index of a tile, the last axis fastest. */
static void NAME_tile_index(const NAME_shape *shape, int64_t tile, int64_t *image, int64_t index[3])
{
    for (int axis = 2; axis >= 0; --axis) {
        index[axis] = tile % NAME_axis_tiles(shape, axis);
        tile /= NAME_axis_tiles(shape, axis);
    }
    *image = tile;
}

/* The address of every input of a tile; those inside the padding point to zeros. */
static void NAME_addresses(const NAME_shape *shape, const NAME_stored *x, const NAME_stored *zeros, int64_t tile,
                           const NAME_stored **source)
{
    int64_t image, index[3], start[3];
    NAME_tile_index(shape, tile, &image, index);
    for (int axis = 0; axis < 3; ++axis)
        start[axis] = index[axis] * NAME_outputs_of_tile[axis] - shape->low[axis];
    for (int64_t i = 0; i < NAME_N0; ++i)
        for (int64_t j = 0; j < NAME_N1; ++j) {
            const int64_t d = start[0] + i, h = start[1] + j;
            const int inside = d >= 0 && d < shape->size[0] && h >= 0 && h < shape->size[1];
            const int64_t row = inside ? ((image * shape->size[0] + d) * shape->size[1] + h) * shape->size[2] : 0;
            for (int64_t k = 0; k < NAME_N2; ++k) {
                const int64_t width = start[2] + k;
                const int real = inside && width >= 0 && width < shape->size[2];
                source[(i * NAME_N1 + j) * NAME_N2 + k] = real ? x + (row + width) * shape->channels : zeros;
            }
        }
}

static void NAME_data_stage(const NAME_shape *shape, const NAME_stored *const *source, NAME_real *v,
                            NAME_vector *buffer)
{
    int64_t c = 0;
    for (; c + NAME_WIDTH <= shape->channels; c += NAME_WIDTH)
        NAME_data_tile(source, c, NAME_WIDTH, v + c, NAME_v_stride(shape), buffer);
    if (c < shape->channels)
        NAME_data_tile(source, c, shape->channels - c, v + c, NAME_v_stride(shape), buffer);
}

/* Negative lanes become zero; a NaN stays what it is. */
NAME_INLINE NAME_vector NAME_relu(NAME_vector a)
{
    return (NAME_vector)((NAME_mask)a & ~(NAME_mask)(a < (NAME_vector){0}));
}

/* Adds the bias, applies ReLU and writes those outputs of a tile that exist. */
static void NAME_epilogue(const NAME_shape *shape, int64_t tile, int64_t output, int64_t lanes, const NAME_real *bias,
                          int relu, const NAME_vector *buffer, NAME_stored *y)
{
    int64_t image, index[3], start[3], count[3];
    NAME_tile_index(shape, tile, &image, index);
    for (int axis = 0; axis < 3; ++axis) {
        start[axis] = index[axis] * NAME_outputs_of_tile[axis];
        count[axis] = NAME_min(NAME_outputs_of_tile[axis], NAME_axis_output(shape, axis) - start[axis]);
    }
    const int64_t height = NAME_axis_output(shape, 1), width = NAME_axis_output(shape, 2);
    const NAME_vector shift = bias ? NAME_load(bias + output, lanes) : (NAME_vector){0};
    for (int64_t i = 0; i < count[0]; ++i)
        for (int64_t j = 0; j < count[1]; ++j) {
            const int64_t depth = image * NAME_axis_output(shape, 0) + start[0] + i;
            NAME_stored *row = y + ((depth * height + start[1] + j) * width + start[2]) * shape->outputs + output;
            for (int64_t k = 0; k < count[2]; ++k) {
                NAME_vector value = buffer[i * NAME_STRIDE0 + j * NAME_STRIDE1 + k] + shift;
                if (relu)
                    value = NAME_relu(value);
                NAME_write(row + k * shape->outputs, lanes, value);
            }
        }
}

/* Products and inverse transform of `tiles` tiles, the first of which is `tile` and has its V at v, for one panel. */
static void NAME_task(const NAME_shape *shape, int64_t tile, int64_t tiles, int64_t panel, const NAME_real *v,
                      const NAME_real *u, const NAME_real *bias, int relu, NAME_real *m, NAME_vector *buffer,
                      NAME_stored *y)
{
    const int64_t output = panel * NAME_PANEL, m_stride = NAME_m_stride(shape);
    const NAME_real *filter = u + panel * NAME_POSITIONS * shape->channels * NAME_PANEL;
    for (int64_t position = 0; position < NAME_POSITIONS; ++position)
        NAME_product(tiles, v + position * NAME_v_stride(shape), shape->channels,
                     filter + position * shape->channels * NAME_PANEL, m + position * m_stride);
    for (int64_t t = 0; t < tiles; ++t)
        for (int half = 0; half < 2 && output + half * NAME_WIDTH < shape->outputs; ++half) {
            const int64_t first = output + half * NAME_WIDTH;
            NAME_inverse_tile(m + t * NAME_PANEL + half * NAME_WIDTH, m_stride, buffer);
            NAME_epilogue(shape, tile + t, first, NAME_min(NAME_WIDTH, shape->outputs - first), bias, relu, buffer, y);
        }
}

/* y = convolution of x with the filter that NAME_filter packed into u; bias may be NULL; relu is 0 or 1.
   workspace: NAME_workspace_floats(shape, threads) numbers, aligned to 64 bytes; at most `threads` threads are used.
   Returns NULL, or what is wrong with its arguments, and then writes nothing. */
const char *NAME_convolve(const NAME_shape *shape, const NAME_stored *x, const NAME_real *u, const NAME_real *bias,
                          int relu, NAME_stored *y, NAME_real *workspace, int64_t threads)
{
    const char *wrong = NAME_wrong_shape(shape);
    if (wrong)
        return wrong;
    if (x == NULL || u == NULL || y == NULL)
        return "x, u and y must not be NULL";
    if (workspace == NULL || (uintptr_t)workspace % 64)
        return "workspace must be aligned to 64 bytes and not NULL";
    const int64_t tiles = NAME_tiles(shape), block = NAME_block(shape), task = NAME_task_tiles(shape);
    NAME_real *v = workspace + NAME_zeros(shape), *private_floats = v + NAME_POSITIONS * NAME_v_stride(shape);
    const NAME_stored *zeros = memset(workspace, 0, (size_t)NAME_zeros(shape) * sizeof(NAME_real));
#ifdef _OPENMP
#pragma omp parallel num_threads((int)NAME_max(threads, 1))
#endif
    {
#ifdef _OPENMP
        NAME_real *own = private_floats + omp_get_thread_num() * NAME_thread_floats(shape);
#else
        NAME_real *own = private_floats;
#endif
        NAME_vector *buffer = (NAME_vector *)(void *)own;
        NAME_real *m = own + NAME_BUFFER;
        const NAME_stored **source = (const NAME_stored **)(void *)(m + NAME_POSITIONS * NAME_m_stride(shape));
        for (int64_t first = 0; first < tiles; first += block) {
            const int64_t held = NAME_min(block, tiles - first), tasks = (held + task - 1) / task;
#ifdef _OPENMP
#pragma omp for schedule(dynamic, 4)
#endif
            for (int64_t t = 0; t < held; ++t) {
                NAME_addresses(shape, x, zeros, first + t, source);
                NAME_data_stage(shape, source, v + t * shape->channels, buffer);
            }
#ifdef _OPENMP
#pragma omp for schedule(dynamic, 1)
#endif
            for (int64_t work = 0; work < NAME_panels(shape->outputs) * tasks; ++work) {
                const int64_t panel = work / tasks, t = work % tasks;
                const int64_t start = t * held / tasks, end = (t + 1) * held / tasks;
                NAME_task(shape, first + start, end - start, panel, v + start * shape->channels, u, bias, relu, m,
                          buffer, y);
            }
        }
    }
    (void)threads;
    return NULL;
}
