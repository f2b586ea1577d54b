/* The stages of a convolution for one tile: what it reads, inverse transform with the epilogue. */

/* What a call is about. */
typedef struct {
    const NAME_plan *plan;
    NAME_windows x;
    const NAME_real *u, *bias;
    const NAME_stored *residual;
    int relu;
    NAME_stored *y;
} NAME_call;

/* The inputs of every tile, all of whose channels are written. */
static NAME_windows NAME_input_windows(const NAME_plan *plan, const NAME_stored *x, const NAME_stored *zeros)
{
    const NAME_shape *shape = &plan->shape;
    return (NAME_windows){x, zeros, shape->channels, shape->channels,
                          {shape->size[0], shape->size[1], shape->size[2]},
                          {shape->low[0], shape->low[1], shape->low[2]},
                          {plan->axis_tiles[0], plan->axis_tiles[1], plan->axis_tiles[2]},
                          shape->x_channels_first, plan->x_run, plan->v_stride};
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
    NAME_tile_index(plan->axis_tiles, tile, &image, index);
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
