/* The gradient of the filter. All threads share a block of tiles; the stages follow each other: V of x as [position]
   [channel block][tile][channel of the block], M of dy as [position][panel][tile][NAME_PANEL], then, position by position,
   their products summed over the tiles of the block, and added to U, [position][panel][channel][NAME_PANEL]. A sum is the
   work of one thread, in an order that does not depend on their number. The filter transform of U, transposed, ends it. */
typedef struct {
    const NAME_plan *plan;
    NAME_windows x, dy;
    NAME_real *v, *m, *u;
    NAME_stored *dw;
} NAME_call;

static NAME_windows NAME_input_windows(const NAME_plan *plan, const NAME_stored *x, const NAME_stored *zeros)
{
    const NAME_shape *s = &plan->shape;
    return (NAME_windows){x, zeros, s->channels, s->channels,
                          {s->size[0], s->size[1], s->size[2]},
                          {s->low[0], s->low[1], s->low[2]},
                          {plan->axis_tiles[0], plan->axis_tiles[1], plan->axis_tiles[2]},
                          s->x_channels_first, plan->x_run, plan->v_stride};
}

static NAME_windows NAME_gradient_windows(const NAME_plan *plan, const NAME_stored *dy, const NAME_stored *zeros)
{
    return (NAME_windows){dy, zeros, plan->shape.outputs, plan->panels * NAME_PANEL,
                          {plan->output[0], plan->output[1], plan->output[2]},
                          {0, 0, 0},
                          {plan->axis_tiles[0], plan->axis_tiles[1], plan->axis_tiles[2]},
                          plan->shape.y_channels_first, plan->y_run, plan->m_stride};
}

static const NAME_real *NAME_v_of(const NAME_call *call, int64_t position, int64_t block, int64_t held)
{
    return call->v + position * call->plan->v_stride + block * NAME_CHANNEL_BLOCK * held;
}

static const NAME_real *NAME_m_of(const NAME_call *call, int64_t position, int64_t panel, int64_t held)
{
    return call->m + position * call->plan->m_stride + panel * held * NAME_PANEL;
}

/* Adds the products of the tiles that are held to a block of channels of a position of U: work number `work`. */
static void NAME_sum_channels(const NAME_call *call, int64_t work, int64_t held, int adds)
{
    const NAME_plan *plan = call->plan;
    const int64_t blocks = plan->channel_blocks, panels = plan->panels, channels = plan->shape.channels;
    const int64_t position = work / blocks, block = work % blocks, first = block * NAME_CHANNEL_BLOCK;
    const int64_t after = NAME_min(work + 1, NAME_POSITIONS * blocks - 1);
    const NAME_ahead next = {NAME_v_of(call, after / blocks, after % blocks, held),
                             NAME_m_of(call, after / blocks, 0, held)};
    const NAME_real *v = NAME_v_of(call, position, block, held);
    for (int64_t panel = 0; panel < panels; ++panel) {
        const NAME_ahead ahead = {v, NAME_m_of(call, position, panel + 1, held)};
        NAME_sum_tiles(held, v, NAME_min(NAME_CHANNEL_BLOCK, channels - first), NAME_m_of(call, position, panel, held),
                       panel + 1 < panels ? ahead : next, adds,
                       call->u + position * plan->u_stride + (panel * channels + first) * NAME_PANEL);
    }
}

/* The filter transform, transposed, of one channel and the outputs of one panel. */
static void NAME_write_filter(const NAME_call *call, int64_t panel, int64_t channel, double *buffer)
{
    const NAME_shape *shape = &call->plan->shape;
    const int64_t output = panel * NAME_PANEL, lanes = NAME_min(NAME_PANEL, shape->outputs - output);
    NAME_filter_panel(call->u + (panel * shape->channels + channel) * NAME_PANEL, call->plan->u_stride, lanes,
                      call->dw + (output * shape->channels + channel) * NAME_TAPS, shape->channels * NAME_TAPS, buffer);
}

/* Every thread of a team calls this with what is its own. */
static void NAME_gradient_of(const NAME_call *call, NAME_real *own)
{
    const NAME_plan *plan = call->plan;
    const NAME_scratch scratch = NAME_scratch_at(own);
    const int64_t channels = plan->shape.channels;
    for (int64_t first = 0; first < plan->tiles; first += plan->block) {
        const int64_t held = NAME_min(plan->block, plan->tiles - first);
#ifdef _OPENMP
#pragma omp for schedule(dynamic, 1) nowait
#endif
        for (int64_t t = 0; t < held; ++t)
            NAME_data_stage(&call->x, first, held, t, call->v, scratch);
#ifdef _OPENMP
#pragma omp for schedule(dynamic, 1)
#endif
        for (int64_t t = 0; t < held; ++t)
            NAME_gradient_stage(&call->dy, first, held, t, call->m, scratch);
#ifdef _OPENMP
#pragma omp for schedule(static)
#endif
        for (int64_t work = 0; work < NAME_POSITIONS * plan->channel_blocks; ++work)
            NAME_sum_channels(call, work, held, first > 0);
    }
#ifdef _OPENMP
#pragma omp for schedule(static)
#endif
    for (int64_t work = 0; work < plan->panels * channels; ++work)
        NAME_write_filter(call, work / channels, work % channels, (double *)(void *)own);
}

const char *NAME_filter_gradient(const NAME_shape *shape, const NAME_stored *x, const NAME_stored *dy, NAME_stored *dw,
                                 NAME_real *workspace, int64_t threads)
{
    NAME_plan plan;
    const char *wrong = NAME_make_plan(shape, threads, &plan);
    if (wrong)
        return wrong;
    if (x == NULL || dy == NULL || dw == NULL)
        return "x, dy and dw must not be NULL";
    if (workspace == NULL || (uintptr_t)workspace % 64)
        return "workspace must be aligned to 64 bytes and not NULL";
    const NAME_stored *zeros = memset(workspace, 0, (size_t)plan.zeros * sizeof(NAME_real));
    NAME_real *v = workspace + plan.zeros, *m = v + NAME_POSITIONS * plan.v_stride;
    NAME_real *u = m + NAME_POSITIONS * plan.m_stride, *owned = v + plan.shared_floats;
    const NAME_call call = {
        &plan, NAME_input_windows(&plan, x, zeros), NAME_gradient_windows(&plan, dy, zeros), v, m, u, dw};
#ifdef _OPENMP
#pragma omp parallel num_threads(NAME_team(threads))
    NAME_gradient_of(&call, owned + omp_get_thread_num() * plan.thread_floats);
#else
    NAME_gradient_of(&call, owned);
#endif
    return NULL;
}
