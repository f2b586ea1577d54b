/* The same stages where channels come first in x, or outputs in y. A vector holds channels, memory has neighbours along
   the width side by side: rows of NAME_WIDTH channels are transposed on the way. That is done for a run of neighbouring
   tiles along the width at a time, the first of which does the work of all, so that rows are long and read once. */

/* Tiles of a run that begins with tile number t of a block; 0 where the tile belongs to a run that began before. */
static int64_t NAME_run(const NAME_plan *plan, int64_t held, int64_t t, int64_t index, int64_t most)
{
    if (t > 0 && index % most)
        return 0;
    return NAME_min(NAME_min(most - index % most, plan->axis_tiles[2] - index), held - t);
}

/* Reads `count` neighbours along the width of `lanes` channels; writes them one after the other, channels side by side. */
NAME_INLINE void NAME_gather(const NAME_stored *x, int64_t stride, int64_t lanes, int64_t count, NAME_stored *row)
{
    NAME_vector rows[NAME_WIDTH];
    for (int lane = 0; lane < NAME_WIDTH; ++lane)
        rows[lane] = lane < lanes ? NAME_read(x + lane * stride, count) : (NAME_vector){0};
    NAME_transpose(rows);
    for (int k = 0; k < NAME_WIDTH; ++k)
        if (k < count)
            NAME_narrow_exactly(row + k * NAME_WIDTH, rows[k]);
}

/* The inputs of a run for some channels from c on; those inside the padding are left as they are. */
NAME_INLINE void NAME_gather_run(const NAME_call *call, int64_t image, const int64_t start[3], int64_t width, int64_t c,
                                 int64_t lanes, NAME_stored *rows)
{
    const NAME_shape *shape = &call->plan->shape;
    const int64_t *size = shape->size, channel = size[0] * size[1] * size[2];
    const int64_t begin = NAME_max(start[2], 0), end = NAME_min(start[2] + width, size[2]);
    for (int64_t i = NAME_max(-start[0], 0); i < NAME_min(NAME_N0, size[0] - start[0]); ++i)
        for (int64_t j = NAME_max(-start[1], 0); j < NAME_min(NAME_N1, size[1] - start[1]); ++j) {
            const int64_t line = (start[0] + i) * size[1] + start[1] + j;
            const NAME_stored *x = call->x + (image * shape->channels + c) * channel + line * size[2];
            NAME_stored *row = rows + ((i * NAME_N1 + j) * NAME_ROW_IN - start[2]) * NAME_WIDTH;
            for (int64_t k = begin; k < end; k += NAME_WIDTH)
                NAME_gather(x + k, channel, lanes, NAME_min(NAME_WIDTH, end - k), row + k * NAME_WIDTH);
        }
}

/* Addresses of the inputs of a run's first tile; those of the next one are NAME_M2 * NAME_WIDTH numbers further. */
static void NAME_run_addresses(const NAME_stored *rows, const NAME_stored **source)
{
    for (int64_t row = 0; row < NAME_N0 * NAME_N1; ++row)
        for (int64_t k = 0; k < NAME_N2; ++k)
            source[row * NAME_N2 + k] = rows + (row * NAME_ROW_IN + k) * NAME_WIDTH;
}

/* Data transforms of the run that begins with tile number t, if one does, of a block that begins with tile `first`. */
static void NAME_data_run(const NAME_call *call, int64_t first, int64_t held, int64_t t, NAME_real *v,
                          NAME_scratch scratch)
{
    const NAME_plan *plan = call->plan;
    NAME_stored *rows = (NAME_stored *)(void *)scratch.rows;
    int64_t image, index[3], start[3];
    NAME_tile_index(plan, first + t, &image, index);
    const int64_t run = NAME_run(plan, held, t, index[2], plan->x_run), width = (run - 1) * NAME_M2 + NAME_N2;
    if (run == 0)
        return;
    for (int axis = 0; axis < 3; ++axis)
        start[axis] = index[axis] * NAME_outputs_of_tile[axis] - plan->shape.low[axis];
    memset(rows, 0, NAME_GATHERED * sizeof(NAME_stored)); /* for the padding */
    NAME_run_addresses(rows, scratch.source);
    for (int64_t c = 0; c < plan->shape.channels; c += NAME_WIDTH) {
        const int64_t lanes = NAME_min(NAME_WIDTH, plan->shape.channels - c);
        if (lanes == NAME_WIDTH)
            NAME_gather_run(call, image, start, width, c, NAME_WIDTH, rows);
        else
            NAME_gather_run(call, image, start, width, c, lanes, rows);
        for (int64_t i = 0; i < run; ++i)
            NAME_data_vector(plan, scratch, i * NAME_M2 * NAME_WIDTH, c, held, t + i, v);
    }
}

/* Writes `count` neighbours along the width of `lanes` outputs, which lie one after the other, at y + at. */
NAME_INLINE void NAME_spread(const NAME_call *call, const NAME_vector *row, int64_t stride, int64_t lanes,
                             int64_t count, int64_t at)
{
    NAME_vector rows[NAME_WIDTH];
    for (int k = 0; k < NAME_WIDTH; ++k)
        rows[k] = k < count ? row[k] : (NAME_vector){0};
    NAME_transpose(rows);
    for (int lane = 0; lane < NAME_WIDTH; ++lane)
        if (lane < lanes)
            NAME_put(call, at + lane * stride, count, rows[lane]);
}

/* Writes those outputs of a run that exist, for some outputs from `output` on. */
NAME_INLINE void NAME_spread_run(const NAME_call *call, int64_t image, const int64_t start[3], int64_t width,
                                 int64_t output, int64_t lanes, const NAME_vector *rows)
{
    const NAME_plan *plan = call->plan;
    const int64_t *size = plan->output, channel = size[0] * size[1] * size[2];
    for (int64_t i = 0; i < NAME_min(NAME_M0, size[0] - start[0]); ++i)
        for (int64_t j = 0; j < NAME_min(NAME_M1, size[1] - start[1]); ++j) {
            const int64_t line = (start[0] + i) * size[1] + start[1] + j;
            const int64_t at = (image * plan->shape.outputs + output) * channel + line * size[2] + start[2];
            const NAME_vector *row = rows + (i * NAME_M1 + j) * NAME_ROW_OUT;
            for (int64_t k = 0; k < width; k += NAME_WIDTH)
                NAME_spread(call, row + k, channel, lanes, NAME_min(NAME_WIDTH, width - k), at + k);
        }
}

/* Inverse transform of one tile for NAME_WIDTH outputs into its place in the rows of its run, with the bias. */
static void NAME_inverse_into(const NAME_call *call, const NAME_real *m, NAME_vector shift, NAME_vector *buffer,
                              NAME_vector *rows)
{
    NAME_inverse_tile(m, call->plan->m_stride, buffer);
    for (int64_t i = 0; i < NAME_M0; ++i)
        for (int64_t j = 0; j < NAME_M1; ++j)
            for (int64_t k = 0; k < NAME_M2; ++k)
                rows[(i * NAME_M1 + j) * NAME_ROW_OUT + k] = buffer[i * NAME_STRIDE0 + j * NAME_STRIDE1 + k] + shift;
}

/* Inverse transforms, for the outputs of one panel, of the run that begins with tile number t, if one does; m is that of
   the tile, and those of the next ones follow it. */
static void NAME_inverse_run(const NAME_call *call, int64_t first, int64_t held, int64_t t, int64_t panel,
                             const NAME_real *m, NAME_scratch scratch)
{
    const NAME_plan *plan = call->plan;
    int64_t image, index[3], start[3];
    NAME_tile_index(plan, first + t, &image, index);
    const int64_t run = NAME_run(plan, held, t, index[2], plan->y_run);
    for (int axis = 0; axis < 3; ++axis)
        start[axis] = index[axis] * NAME_outputs_of_tile[axis];
    const int64_t width = NAME_min(run * NAME_M2, plan->output[2] - start[2]);
    for (int64_t half = 0; run && half < 2; ++half) {
        const int64_t output = panel * NAME_PANEL + half * NAME_WIDTH, lanes = plan->shape.outputs - output;
        if (lanes <= 0)
            break;
        const NAME_vector shift = NAME_bias_of(call, output, NAME_min(NAME_WIDTH, lanes));
        for (int64_t i = 0; i < run; ++i)
            NAME_inverse_into(call, m + i * NAME_PANEL + half * NAME_WIDTH, shift, scratch.buffer,
                              scratch.rows + i * NAME_M2);
        if (lanes >= NAME_WIDTH)
            NAME_spread_run(call, image, start, width, output, NAME_WIDTH, scratch.rows);
        else
            NAME_spread_run(call, image, start, width, output, lanes, scratch.rows);
    }
}

/* What the schedules call for tile number t of a block of `held` tiles that begins with tile `first`. */
static void NAME_data_stage(const NAME_call *call, int64_t first, int64_t held, int64_t t, NAME_real *v,
                            NAME_scratch scratch)
{
    if (call->plan->shape.x_channels_first)
        NAME_data_run(call, first, held, t, v, scratch);
    else
        NAME_data_tile_of(call, first, held, t, v, scratch);
}

static void NAME_inverse_stage(const NAME_call *call, int64_t first, int64_t held, int64_t t, int64_t panel,
                               const NAME_real *m, NAME_scratch scratch)
{
    if (call->plan->shape.y_channels_first)
        NAME_inverse_run(call, first, held, t, panel, m, scratch);
    else
        NAME_inverse_tile_of(call, first + t, panel, m, scratch);
}
