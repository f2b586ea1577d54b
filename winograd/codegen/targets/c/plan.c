enum {
    /* Where channels come first in y: tiles of a run along the width, whose rows fill a vector, the width of such a row,
       and numbers of all rows of the run. */
    NAME_RUN_OUT = (int)NAME_WIDTH < NAME_M2 ? 1 : NAME_WIDTH / NAME_M2,
    NAME_ROW_OUT = NAME_RUN_OUT * NAME_M2,
    NAME_SPREAD = NAME_M0 * NAME_M1 * NAME_ROW_OUT * NAME_WIDTH,
    /* Where the code chooses: bytes of V and M of a thread that stay in its own cache, and as few tiles as are worth
       reading U for; bytes of U that stay in the cache which all share; bytes of V and M that do; tiles at least. */
    NAME_OWN_BYTES = 3 << 18,
    NAME_FEW_TILES = 8,
    NAME_SHARED_FILTER_BYTES = 12 << 20,
    NAME_SHARED_BYTES = 16 << 20,
    NAME_LEAST_TILES = 32,
    /* Outputs of more numbers stay in no cache: whole lines of them are written past all of them. */
    NAME_STREAMED_NUMBERS = (16 << 20) / (int)sizeof(NAME_stored)
};

/* A shape, and what follows from it: outputs and tiles along every axis, tiles, panels, the schedule with its tiles at a
   time, tiles of a run in x and in y, whether lines of y are written past the caches, and numbers between positions of V
   and M, of zeros, of a thread beside V and M, of V and M that are shared, of one thread, and of the workspace. */
typedef struct {
    NAME_shape shape;
    int64_t output[3], axis_tiles[3], tiles, panels, schedule, block, x_run, y_run, streams;
    int64_t v_stride, m_stride, zeros, scratch, shared_floats, thread_floats, workspace;
} NAME_plan;

/* Tiles at a time of one thread by the fused schedule: as many as its cache holds, but some for every thread. */
static int64_t NAME_fused_tiles(const NAME_plan *plan, int64_t threads)
{
    const int64_t numbers = NAME_POSITIONS * (plan->shape.channels + NAME_PANEL);
    const int64_t held = NAME_OWN_BYTES / (numbers * (int64_t)sizeof(NAME_real));
    return NAME_min(held, NAME_parts(plan->tiles, 2 * threads));
}

/* Tiles at a time of all threads by the staged schedule. */
static int64_t NAME_staged_tiles(const NAME_plan *plan)
{
    const int64_t numbers = NAME_POSITIONS * (plan->shape.channels + plan->panels * NAME_PANEL);
    return NAME_max(NAME_SHARED_BYTES / (numbers * (int64_t)sizeof(NAME_real)), NAME_LEAST_TILES);
}

/* The schedule and its tiles at a time, where tiles and the packed filter have sizes: what is asked for, or a choice. */
static void NAME_choose(NAME_plan *plan, int64_t threads)
{
    const int64_t filter = NAME_filter_floats(plan->shape.channels, plan->shape.outputs) * (int64_t)sizeof(NAME_real);
    const int64_t fused = NAME_fused_tiles(plan, threads), few = NAME_min(NAME_FEW_TILES, NAME_parts(plan->tiles, 2 * threads));
    const int64_t most = NAME_min(plan->tiles, NAME_MOST_TILES), block = plan->shape.block;
    plan->schedule = plan->shape.schedule;
    if (plan->schedule == NAME_ANY_SCHEDULE)
        plan->schedule = fused >= NAME_max(few, 1) && filter <= NAME_SHARED_FILTER_BYTES ? NAME_FUSED_BLOCKS
                                                                                        : NAME_STAGED_BLOCKS;
    const int64_t chosen = plan->schedule == NAME_FUSED_BLOCKS ? NAME_max(fused, 1) : NAME_staged_tiles(plan);
    plan->block = block ? NAME_min(block, most) : NAME_even_part(plan->tiles, NAME_min(chosen, most));
}

/* Numbers of a thread beside V and M: the vectors of a tile, the addresses of its inputs, the rows of a run. */
static int64_t NAME_scratch_floats(const NAME_shape *shape)
{
    const int64_t gathered = shape->x_channels_first ? NAME_DATA_GATHERED : 0;
    const int64_t spread = shape->y_channels_first ? NAME_SPREAD : 0;
    return NAME_BUFFER + NAME_ADDRESSES + NAME_whole_lines(NAME_max(gathered, spread));
}

/* Numbers of workspace on so many threads: zeros, V and M that are shared, and what every thread has of its own. */
static int64_t NAME_measure(NAME_plan *plan, int64_t threads)
{
    const int64_t channels = plan->shape.channels;
    const int fused = plan->schedule == NAME_FUSED_BLOCKS;
    plan->zeros = NAME_whole_lines(NAME_plus(channels, NAME_WIDTH));
    plan->scratch = NAME_scratch_floats(&plan->shape);
    plan->v_stride = NAME_plus(NAME_whole_lines(NAME_times(plan->block, channels)), NAME_PAD);
    plan->m_stride = NAME_plus(NAME_times(plan->block, NAME_times(fused ? 1 : plan->panels, NAME_PANEL)), NAME_PAD);
    const int64_t held = NAME_times(NAME_POSITIONS, NAME_plus(plan->v_stride, plan->m_stride));
    plan->shared_floats = fused ? 0 : held;
    plan->thread_floats = NAME_plus(NAME_plus(fused ? held : 0, plan->scratch), NAME_PAD);
    return NAME_plus(NAME_plus(plan->zeros, plan->shared_floats), NAME_times(threads, plan->thread_floats));
}

/* Fills in the plan of a shape; returns NULL, or what is wrong with the shape. */
static const char *NAME_make_plan(const NAME_shape *shape, int64_t threads, NAME_plan *plan)
{
    const char *wrong = NAME_wrong_shape(shape);
    if (wrong)
        return wrong;
    if (shape->schedule < NAME_ANY_SCHEDULE || shape->schedule > NAME_STAGED_BLOCKS)
        return "schedule must be 0, 1 or 2";
    plan->shape = *shape;
    for (int axis = 0; axis < 3; ++axis) {
        plan->output[axis] = NAME_padded(shape, axis) - NAME_taps[axis] + 1;
        plan->axis_tiles[axis] = NAME_parts(plan->output[axis], NAME_outputs_of_tile[axis]);
    }
    if (NAME_product_of_sizes(shape->batch, shape->size, shape->channels) < 0)
        return "x is too large, batch * size * channels must fit into memory";
    if (NAME_product_of_sizes(shape->batch, plan->output, shape->outputs) < 0)
        return "y is too large, batch * output sizes * outputs must fit into memory";
    if (NAME_filter_floats(shape->channels, shape->outputs) < 0)
        return "the packed filter is too large, channels * outputs must fit into memory";
    plan->tiles = NAME_product_of_sizes(shape->batch, plan->axis_tiles, 1);
    plan->panels = NAME_parts(shape->outputs, NAME_PANEL);
    const int64_t y_numbers = NAME_product_of_sizes(shape->batch, plan->output, shape->outputs);
    plan->streams = NAME_CAN_STREAM && y_numbers > NAME_STREAMED_NUMBERS;
    const int64_t each = NAME_max(plan->tiles / NAME_threads(threads), 1); /* so that every thread has a run */
    plan->x_run = NAME_even_part(plan->axis_tiles[2], NAME_min(NAME_DATA_RUN, each));
    plan->y_run = NAME_even_part(plan->axis_tiles[2], NAME_RUN_OUT);
    NAME_choose(plan, NAME_threads(threads));
    plan->workspace = NAME_measure(plan, NAME_threads(threads));
    return plan->workspace < 0 ? "workspace is too large, block * channels must fit into memory" : NULL;
}

int64_t NAME_panel(void)
{
    return NAME_PANEL;
}

int64_t NAME_filter_floats(int64_t channels, int64_t outputs)
{
    if (channels < 1 || outputs < 1)
        return -1;
    return NAME_times(NAME_times(NAME_parts(outputs, NAME_PANEL), NAME_PANEL * NAME_POSITIONS), channels);
}

int64_t NAME_workspace_floats(const NAME_shape *shape, int64_t threads)
{
    NAME_plan plan;
    return NAME_make_plan(shape, threads, &plan) ? -1 : plan.workspace;
}
