/* The convolution. The packed filter U is [panel][position][channel][NAME_PANEL]. Three stages for every block of tiles:
   data transform into V [position][tile][channel], products into M [position][tile][NAME_PANEL], inverse transform with
   bias and ReLU into y. */

const char *NAME_filter(const NAME_stored *w, int64_t channels, int64_t outputs, NAME_real *u, int64_t threads)
{
    if (w == NULL || u == NULL)
        return "w and u must not be NULL";
    if (channels < 1 || outputs < 1)
        return "channels and outputs must be at least 1";
    if (NAME_filter_floats(channels, outputs) < 0)
        return "the packed filter is too large, channels * outputs must fit into memory";
    const int64_t panels = NAME_parts(outputs, NAME_PANEL);
    int failed = 0;
#ifdef _OPENMP
#pragma omp parallel reduction(| : failed) num_threads(NAME_team(threads))
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

static void NAME_data_stage(const NAME_plan *plan, const NAME_stored *const *source, NAME_real *v, NAME_vector *buffer)
{
    const int64_t channels = plan->shape.channels, v_stride = plan->v_stride;
    int64_t c = 0;
    for (; c + NAME_WIDTH <= channels; c += NAME_WIDTH)
        NAME_data_tile(source, c, NAME_WIDTH, v + c, v_stride, buffer);
    if (c < channels)
        NAME_data_tile(source, c, channels - c, v + c, v_stride, buffer);
}

/* Negative lanes become zero; a NaN stays what it is. */
NAME_INLINE NAME_vector NAME_relu(NAME_vector a)
{
    return (NAME_vector)((NAME_mask)a & ~(NAME_mask)(a < (NAME_vector){0}));
}

/* Adds the bias, applies ReLU and writes those outputs of a tile that exist. */
static void NAME_epilogue(const NAME_plan *plan, int64_t tile, int64_t output, int64_t lanes, const NAME_real *bias,
                          int relu, const NAME_vector *buffer, NAME_stored *y)
{
    int64_t image, index[3], start[3], count[3];
    NAME_tile_index(plan, tile, &image, index);
    for (int axis = 0; axis < 3; ++axis) {
        start[axis] = index[axis] * NAME_outputs_of_tile[axis];
        count[axis] = NAME_min(NAME_outputs_of_tile[axis], plan->output[axis] - start[axis]);
    }
    const int64_t height = plan->output[1], width = plan->output[2], outputs = plan->shape.outputs;
    const NAME_vector shift = bias ? NAME_load(bias + output, lanes) : (NAME_vector){0};
    for (int64_t i = 0; i < count[0]; ++i)
        for (int64_t j = 0; j < count[1]; ++j) {
            const int64_t depth = image * plan->output[0] + start[0] + i;
            NAME_stored *row = y + ((depth * height + start[1] + j) * width + start[2]) * outputs + output;
            for (int64_t k = 0; k < count[2]; ++k) {
                NAME_vector value = buffer[i * NAME_STRIDE0 + j * NAME_STRIDE1 + k] + shift;
                if (relu)
                    value = NAME_relu(value);
                NAME_write(row + k * outputs, lanes, value);
            }
        }
}

/* Products and inverse transform of `tiles` tiles, the first of which is `tile` and has its V at v, for one panel. */
static void NAME_task(const NAME_plan *plan, int64_t tile, int64_t tiles, int64_t panel, const NAME_real *v,
                      const NAME_real *u, const NAME_real *bias, int relu, NAME_real *m, NAME_vector *buffer,
                      NAME_stored *y)
{
    const int64_t output = panel * NAME_PANEL, m_stride = plan->m_stride, v_stride = plan->v_stride;
    const int64_t channels = plan->shape.channels, outputs = plan->shape.outputs;
    const NAME_real *filter = u + panel * NAME_POSITIONS * channels * NAME_PANEL;
    for (int64_t position = 0; position < NAME_POSITIONS; ++position)
        NAME_product(tiles, v + position * v_stride, channels, filter + position * channels * NAME_PANEL,
                     m + position * m_stride);
    for (int64_t t = 0; t < tiles; ++t)
        for (int half = 0; half < 2 && output + half * NAME_WIDTH < outputs; ++half) {
            const int64_t first = output + half * NAME_WIDTH;
            NAME_inverse_tile(m + t * NAME_PANEL + half * NAME_WIDTH, m_stride, buffer);
            NAME_epilogue(plan, tile + t, first, NAME_min(NAME_WIDTH, outputs - first), bias, relu, buffer, y);
        }
}

const char *NAME_convolve(const NAME_shape *shape, const NAME_stored *x, const NAME_real *u, const NAME_real *bias,
                          int relu, NAME_stored *y, NAME_real *workspace, int64_t threads)
{
    NAME_plan plan;
    const char *wrong = NAME_make_plan(shape, threads, &plan);
    if (wrong)
        return wrong;
    if (x == NULL || u == NULL || y == NULL)
        return "x, u and y must not be NULL";
    if (workspace == NULL || (uintptr_t)workspace % 64)
        return "workspace must be aligned to 64 bytes and not NULL";
    const int64_t channels = plan.shape.channels, panels = NAME_parts(plan.shape.outputs, NAME_PANEL);
    NAME_real *v = workspace + plan.zeros, *private_floats = v + NAME_POSITIONS * plan.v_stride;
    const NAME_stored *zeros = memset(workspace, 0, (size_t)plan.zeros * sizeof(NAME_real));
#ifdef _OPENMP
#pragma omp parallel num_threads(NAME_team(threads))
#endif
    {
#ifdef _OPENMP
        NAME_real *own = private_floats + omp_get_thread_num() * plan.thread_floats;
#else
        NAME_real *own = private_floats;
#endif
        NAME_vector *buffer = (NAME_vector *)(void *)own;
        NAME_real *m = own + NAME_BUFFER;
        const NAME_stored **source = (const NAME_stored **)(void *)(m + NAME_POSITIONS * plan.m_stride);
        for (int64_t first = 0; first < plan.tiles; first += plan.block) {
            const int64_t held = NAME_min(plan.block, plan.tiles - first), tasks = NAME_parts(held, plan.task);
#ifdef _OPENMP
#pragma omp for schedule(dynamic, 4)
#endif
            for (int64_t t = 0; t < held; ++t) {
                NAME_addresses(&plan, x, zeros, first + t, source);
                NAME_data_stage(&plan, source, v + t * channels, buffer);
            }
#ifdef _OPENMP
#pragma omp for schedule(dynamic, 1)
#endif
            for (int64_t work = 0; work < panels * tasks; ++work) {
                const int64_t panel = work / tasks, t = work % tasks;
                const int64_t start = t * held / tasks, end = (t + 1) * held / tasks;
                NAME_task(&plan, first + start, end - start, panel, v + start * channels, u, bias, relu, m, buffer, y);
            }
        }
    }
    return NULL;
}
