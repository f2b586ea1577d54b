/* The inverse stage where outputs come first in y: by runs of tiles along the width, too. */

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
    NAME_tile_index(plan->axis_tiles, first + t, &image, index);
    const int64_t run = NAME_run(plan->axis_tiles[2], held, t, index[2], plan->y_run);
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
static void NAME_inverse_stage(const NAME_call *call, int64_t first, int64_t held, int64_t t, int64_t panel,
                               const NAME_real *m, NAME_scratch scratch)
{
    if (call->plan->shape.y_channels_first)
        NAME_inverse_run(call, first, held, t, panel, m, scratch);
    else
        NAME_inverse_tile_of(call, first + t, panel, m, scratch);
}
