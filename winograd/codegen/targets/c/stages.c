/* The stages of a convolution for one tile: data transform of all channels, inverse transform with the epilogue. */

/* What a call is about. */
typedef struct {
    const NAME_plan *plan;
    const NAME_stored *x, *zeros;
    const NAME_real *u, *bias;
    const NAME_stored *residual;
    int relu;
    NAME_stored *y;
} NAME_call;

/* What a thread has of its own. */
typedef struct {
    NAME_vector *buffer;
    const NAME_stored **source;
    NAME_vector *rows; /* of a run of tiles, where channels come first in x or in y */
} NAME_scratch;

/* The index of a tile, the last axis fastest. */
static void NAME_tile_index(const NAME_plan *plan, int64_t tile, int64_t *image, int64_t index[3])
{
    for (int axis = 2; axis >= 0; --axis) {
        index[axis] = tile % plan->axis_tiles[axis];
        tile /= plan->axis_tiles[axis];
    }
    *image = tile;
}

/* The address of every input of a tile; those inside the padding point to zeros. */
static void NAME_addresses(const NAME_plan *plan, const NAME_stored *x, const NAME_stored *zeros, int64_t tile,
                           const NAME_stored **source)
{
    const NAME_shape *shape = &plan->shape;
    int64_t image, index[3], start[3];
    NAME_tile_index(plan, tile, &image, index);
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

/* Negative lanes become zero; a NaN stays what it is. */
NAME_INLINE NAME_vector NAME_relu(NAME_vector a)
{
    return (NAME_vector)((NAME_mask)a & ~(NAME_mask)(a < (NAME_vector){0}));
}

/* The bias of `lanes` outputs from `output` on. */
NAME_INLINE NAME_vector NAME_bias_of(const NAME_call *call, int64_t output, int64_t lanes)
{
    return call->bias ? NAME_load(call->bias + output, lanes) : (NAME_vector){0};
}

/* Adds the residual, applies ReLU and writes `lanes` numbers at y + at. */
NAME_INLINE void NAME_put(const NAME_call *call, int64_t at, int64_t lanes, NAME_vector value)
{
    if (call->residual)
        value += NAME_read(call->residual + at, lanes);
    if (call->relu)
        value = NAME_relu(value);
    NAME_stored *y = call->y + at;
    if (call->plan->streams && lanes == NAME_WIDTH && (uintptr_t)y % 64 == 0)
        NAME_stream(y, value);
    else
        NAME_write(y, lanes, value);
}

/* Writes those outputs of a tile that exist, with bias, residual and ReLU. */
static void NAME_epilogue(const NAME_call *call, int64_t tile, int64_t output, int64_t lanes,
                          const NAME_vector *buffer)
{
    const NAME_plan *plan = call->plan;
    int64_t image, index[3], start[3], count[3];
    NAME_tile_index(plan, tile, &image, index);
    for (int axis = 0; axis < 3; ++axis) {
        start[axis] = index[axis] * NAME_outputs_of_tile[axis];
        count[axis] = NAME_min(NAME_outputs_of_tile[axis], plan->output[axis] - start[axis]);
    }
    const int64_t height = plan->output[1], width = plan->output[2], outputs = plan->shape.outputs;
    const NAME_vector shift = NAME_bias_of(call, output, lanes);
    for (int64_t i = 0; i < count[0]; ++i)
        for (int64_t j = 0; j < count[1]; ++j) {
            const int64_t depth = image * plan->output[0] + start[0] + i;
            const int64_t row = ((depth * height + start[1] + j) * width + start[2]) * outputs + output;
            for (int64_t k = 0; k < count[2]; ++k)
                NAME_put(call, row + k * outputs, lanes,
                         buffer[i * NAME_STRIDE0 + j * NAME_STRIDE1 + k] + shift);
        }
}

/* Data transform of a vector of channels from c on, which begin `offset` numbers behind the addresses, of tile number t
   of a block of `held` tiles. */
NAME_INLINE void NAME_data_vector(const NAME_plan *plan, NAME_scratch scratch, int64_t offset, int64_t c, int64_t held,
                                  int64_t t, NAME_real *v)
{
    const int64_t channels = plan->shape.channels, block = c / NAME_CHANNEL_BLOCK * NAME_CHANNEL_BLOCK;
    const int64_t width = NAME_min(NAME_CHANNEL_BLOCK, channels - block);
    NAME_real *target = v + block * held + t * width + c - block;
    if (c + NAME_WIDTH <= channels)
        NAME_data_tile(scratch.source, offset, NAME_WIDTH, target, plan->v_stride, scratch.buffer);
    else
        NAME_data_tile(scratch.source, offset, channels - c, target, plan->v_stride, scratch.buffer);
}

/* Data transform of tile number t of a block of `held` tiles that begins with tile `first`. */
static void NAME_data_tile_of(const NAME_call *call, int64_t first, int64_t held, int64_t t, NAME_real *v,
                              NAME_scratch scratch)
{
    NAME_addresses(call->plan, call->x, call->zeros, first + t, scratch.source);
    for (int64_t c = 0; c < call->plan->shape.channels; c += NAME_WIDTH)
        NAME_data_vector(call->plan, scratch, c, c, held, t, v);
}

/* Inverse transform of one tile for the outputs of one panel, whose M is at m. */
static void NAME_inverse_tile_of(const NAME_call *call, int64_t tile, int64_t panel, const NAME_real *m,
                                 NAME_scratch scratch)
{
    const int64_t outputs = call->plan->shape.outputs;
    for (int64_t half = 0; half < 2; ++half) {
        const int64_t first = panel * NAME_PANEL + half * NAME_WIDTH;
        if (first >= outputs)
            break;
        NAME_inverse_tile(m + half * NAME_WIDTH, call->plan->m_stride, scratch.buffer);
        NAME_epilogue(call, tile, first, NAME_min(NAME_WIDTH, outputs - first), scratch.buffer);
    }
}
