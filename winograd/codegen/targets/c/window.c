/* The WINDOW transform of windows of CAPTION, whatever their layout, into [position][block][tile][channel of the block],
   NAME_BLOCK channels to a block. */

/* The address of every element of a window; those outside the tensor point to zeros. */
static void NAME_WINDOW_addresses(const NAME_windows *x, int64_t tile, const NAME_stored **source)
{
    int64_t image, index[3], start[3];
    NAME_tile_index(x->tiles, tile, &image, index);
    for (int axis = 0; axis < 3; ++axis)
        start[axis] = index[axis] * NAME_outputs_of_tile[axis] - x->low[axis];
    for (int64_t i = 0; i < NAME_EXTENT0; ++i)
        for (int64_t j = 0; j < NAME_EXTENT1; ++j) {
            const int64_t d = start[0] + i, h = start[1] + j;
            const int inside = d >= 0 && d < x->size[0] && h >= 0 && h < x->size[1];
            const int64_t row = inside ? ((image * x->size[0] + d) * x->size[1] + h) * x->size[2] : 0;
            for (int64_t k = 0; k < NAME_EXTENT2; ++k) {
                const int64_t width = start[2] + k;
                const int real = inside && width >= 0 && width < x->size[2];
                source[(i * NAME_EXTENT1 + j) * NAME_EXTENT2 + k] =
                    real ? x->values + (row + width) * x->channels : x->zeros;
            }
        }
}

/* Transform of a vector of channels from c on, which begin `offset` numbers behind the addresses, of tile number t of a
   block of `held` tiles. */
NAME_INLINE void NAME_WINDOW_vector(const NAME_windows *x, NAME_scratch scratch, int64_t offset, int64_t c, int64_t held,
                                    int64_t t, NAME_real *v)
{
    const int64_t block = c / NAME_BLOCK * NAME_BLOCK, width = NAME_min(NAME_BLOCK, x->columns - block);
    NAME_real *target = v + block * held + t * width + c - block;
    if (c + NAME_WIDTH <= x->channels)
        NAME_WINDOW_tile(scratch.source, offset, NAME_WIDTH, target, x->stride, scratch.buffer);
    else
        NAME_WINDOW_tile(scratch.source, offset, LANES, target, x->stride, scratch.buffer);
}

/* Transform of tile number t of a block of `held` tiles that begins with tile `first`. */
static void NAME_WINDOW_tile_of(const NAME_windows *x, int64_t first, int64_t held, int64_t t, NAME_real *v,
                                NAME_scratch scratch)
{
    NAME_WINDOW_addresses(x, first + t, scratch.source);
    for (int64_t c = 0; c < x->columns; c += NAME_WIDTH)
        NAME_WINDOW_vector(x, scratch, c, c, held, t, v);
}

/* The elements of a run for some channels from c on; those outside the tensor are left as they are. */
NAME_INLINE void NAME_WINDOW_gather(const NAME_windows *x, int64_t image, const int64_t start[3], int64_t width,
                                    int64_t c, int64_t lanes, NAME_stored *rows)
{
    const int64_t *size = x->size, channel = size[0] * size[1] * size[2];
    const int64_t begin = NAME_max(start[2], 0), count = NAME_min(start[2] + width, size[2]) - begin;
    for (int64_t i = NAME_max(-start[0], 0); i < NAME_min(NAME_EXTENT0, size[0] - start[0]); ++i)
        for (int64_t j = NAME_max(-start[1], 0); j < NAME_min(NAME_EXTENT1, size[1] - start[1]); ++j) {
            const int64_t line = (start[0] + i) * size[1] + start[1] + j;
            const NAME_stored *from = x->values + (image * x->channels + c) * channel + line * size[2];
            if (count > 0)
                NAME_gather_row(from + begin, channel, lanes, count,
                                rows + ((i * NAME_EXTENT1 + j) * NAME_UPPER_ROW + begin - start[2]) * NAME_WIDTH);
        }
}

/* Addresses of the elements of a run's first tile; those of the next one are NAME_M2 * NAME_WIDTH numbers further. */
static void NAME_WINDOW_run_addresses(const NAME_stored *rows, const NAME_stored **source)
{
    for (int64_t row = 0; row < NAME_EXTENT0 * NAME_EXTENT1; ++row)
        for (int64_t k = 0; k < NAME_EXTENT2; ++k)
            source[row * NAME_EXTENT2 + k] = rows + (row * NAME_UPPER_ROW + k) * NAME_WIDTH;
}

/* Transforms of the run that begins with tile number t, if one does, of a block that begins with tile `first`. */
static void NAME_WINDOW_run(const NAME_windows *x, int64_t first, int64_t held, int64_t t, NAME_real *v,
                            NAME_scratch scratch)
{
    NAME_stored *rows = (NAME_stored *)(void *)scratch.rows;
    int64_t image, index[3], start[3];
    NAME_tile_index(x->tiles, first + t, &image, index);
    const int64_t run = NAME_run(x->tiles[2], held, t, index[2], x->run), width = (run - 1) * NAME_M2 + NAME_EXTENT2;
    if (run == 0)
        return;
    for (int axis = 0; axis < 3; ++axis)
        start[axis] = index[axis] * NAME_outputs_of_tile[axis] - x->low[axis];
    memset(rows, 0, NAME_UPPER_GATHERED * sizeof(NAME_stored)); /* for what is outside the tensor */
    NAME_WINDOW_run_addresses(rows, scratch.source);
    for (int64_t c = 0; c < x->columns; c += NAME_WIDTH) {
        const int64_t lanes = NAME_min(NAME_WIDTH, x->channels - c);
        if (lanes == NAME_WIDTH)
            NAME_WINDOW_gather(x, image, start, width, c, NAME_WIDTH, rows);
        else
            NAME_WINDOW_gather(x, image, start, width, c, lanes, rows);
        for (int64_t i = 0; i < run; ++i)
            NAME_WINDOW_vector(x, scratch, i * NAME_M2 * NAME_WIDTH, c, held, t + i, v);
    }
}

/* What the schedules call for tile number t of a block of `held` tiles that begins with tile `first`. */
static void NAME_WINDOW_stage(const NAME_windows *x, int64_t first, int64_t held, int64_t t, NAME_real *v,
                              NAME_scratch scratch)
{
    if (x->channels_first)
        NAME_WINDOW_run(x, first, held, t, v, scratch);
    else
        NAME_WINDOW_tile_of(x, first, held, t, v, scratch);
}
