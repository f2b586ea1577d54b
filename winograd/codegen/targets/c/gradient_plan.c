enum {
    /* Numbers that take the space of the doubles of a filter transform. */
    NAME_FILTER_BUFFER = NAME_POSITIONS * NAME_PANEL * (int)(sizeof(double) / sizeof(NAME_real)),
    /* Where the code chooses: bytes of V and M that stay in the cache which all share, bytes of them where U, which is
       read and written for every block, stays in no cache, and tiles at least. */
    NAME_SHARED_BYTES = 16 << 20,
    NAME_HELD_BYTES = 64 << 20,
    NAME_LEAST_TILES = 64
};

/* A shape, and what follows from it: outputs and tiles along every axis, tiles, panels of outputs, blocks of channels,
   tiles at a time, tiles of a run in x and in dy, and numbers between positions of V, M and U, of zeros, of V, M and U, of
   one thread, and of the workspace. */
typedef struct {
    NAME_shape shape;
    int64_t output[3], axis_tiles[3], tiles, panels, channel_blocks, block, x_run, y_run;
    int64_t v_stride, m_stride, u_stride, zeros, shared_floats, thread_floats, workspace;
} NAME_plan;

/* Tiles at a time: what is asked for, or a choice. */
static int64_t NAME_choose(const NAME_plan *plan)
{
    const int64_t channels = plan->shape.channels, columns = plan->panels * NAME_PANEL;
    const int64_t bytes = NAME_POSITIONS * (int64_t)sizeof(NAME_real);
    const int64_t held_bytes = bytes * channels * columns > NAME_SHARED_BYTES ? NAME_HELD_BYTES : NAME_SHARED_BYTES;
    const int64_t held = NAME_max(held_bytes / (bytes * (channels + columns)), NAME_LEAST_TILES);
    const int64_t most = NAME_min(plan->tiles, NAME_MOST_TILES), block = plan->shape.block;
    return block ? NAME_min(block, most) : NAME_even_part(plan->tiles, NAME_min(held, most));
}

/* Numbers of a thread: the vectors of a tile, the addresses of its elements, the rows of a run; later the doubles of a
   filter transform. */
static int64_t NAME_scratch_floats(const NAME_shape *shape)
{
    const int64_t x_rows = shape->x_channels_first ? NAME_DATA_GATHERED : 0;
    const int64_t y_rows = shape->y_channels_first ? NAME_GRADIENT_GATHERED : 0;
    const int64_t tile = NAME_BUFFER + NAME_ADDRESSES + NAME_whole_lines(NAME_max(x_rows, y_rows));
    return NAME_max(tile, NAME_whole_lines(NAME_FILTER_BUFFER)) + NAME_PAD;
}

/* Numbers of workspace on so many threads: zeros, V, M and U, and what every thread has of its own. */
static int64_t NAME_measure(NAME_plan *plan, int64_t threads)
{
    const int64_t channels = plan->shape.channels, columns = NAME_times(plan->panels, NAME_PANEL);
    plan->zeros = NAME_whole_lines(NAME_plus(NAME_max(channels, columns), NAME_WIDTH));
    plan->v_stride = NAME_plus(NAME_whole_lines(NAME_times(plan->block, channels)), NAME_PAD);
    plan->m_stride = NAME_plus(NAME_times(plan->block, columns), NAME_PAD);
    plan->u_stride = NAME_plus(NAME_times(channels, columns), NAME_PAD);
    const int64_t strides = NAME_plus(NAME_plus(plan->v_stride, plan->m_stride), plan->u_stride);
    plan->shared_floats = NAME_times(NAME_POSITIONS, strides);
    plan->thread_floats = NAME_scratch_floats(&plan->shape);
    return NAME_plus(NAME_plus(plan->zeros, plan->shared_floats), NAME_times(threads, plan->thread_floats));
}

/* Fills in the plan of a shape; returns NULL, or what is wrong with the shape. */
static const char *NAME_make_plan(const NAME_shape *shape, int64_t threads, NAME_plan *plan)
{
    const char *wrong = NAME_wrong_shape(shape);
    if (wrong)
        return wrong;
    plan->shape = *shape;
    for (int axis = 0; axis < 3; ++axis) {
        plan->output[axis] = NAME_padded(shape, axis) - NAME_taps[axis] + 1;
        plan->axis_tiles[axis] = NAME_parts(plan->output[axis], NAME_outputs_of_tile[axis]);
    }
    if (NAME_product_of_sizes(shape->batch, shape->size, shape->channels) < 0)
        return "x is too large, batch * size * channels must fit into memory";
    if (NAME_product_of_sizes(shape->batch, plan->output, shape->outputs) < 0)
        return "dy is too large, batch * output sizes * outputs must fit into memory";
    plan->panels = NAME_parts(shape->outputs, NAME_PANEL);
    plan->channel_blocks = NAME_parts(shape->channels, NAME_CHANNEL_BLOCK);
    if (NAME_times(NAME_times(plan->panels, NAME_PANEL * NAME_POSITIONS), shape->channels) < 0)
        return "the transformed filter is too large, channels * outputs must fit into memory";
    plan->tiles = NAME_product_of_sizes(shape->batch, plan->axis_tiles, 1);
    const int64_t each = NAME_max(plan->tiles / NAME_threads(threads), 1); /* so that every thread has a run */
    plan->x_run = NAME_even_part(plan->axis_tiles[2], NAME_min(NAME_DATA_RUN, each));
    plan->y_run = NAME_even_part(plan->axis_tiles[2], NAME_min(NAME_GRADIENT_RUN, each));
    plan->block = NAME_choose(plan);
    plan->workspace = NAME_measure(plan, NAME_threads(threads));
    return plan->workspace < 0 ? "workspace is too large, block * (channels + outputs) must fit into memory" : NULL;
}

int64_t NAME_workspace_floats(const NAME_shape *shape, int64_t threads)
{
    NAME_plan plan;
    return NAME_make_plan(shape, threads, &plan) ? -1 : plan.workspace;
}
