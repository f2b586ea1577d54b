/* The convolution, by one of two schedules. Both take V as [position][block][tile][channel of the block].

   NAME_FUSED_BLOCKS: every thread takes blocks of so few tiles that their V, and M of one panel, stay in its own cache;
   U is read once for every block.
   NAME_STAGED_BLOCKS: all threads share a block of tiles; the stages follow each other, and products go position by
   position: U, and V of a position, are read once. */
static const NAME_real *NAME_filter_of(const NAME_call *call, int64_t position, int64_t panel)
{
    return call->u + (position * call->plan->panels + panel) * call->plan->shape.channels * NAME_PANEL;
}

static void NAME_fused_block(const NAME_call *call, int64_t first, int64_t held, NAME_real *v, NAME_scratch scratch)
{
    const NAME_plan *plan = call->plan;
    NAME_real *m = v + NAME_POSITIONS * plan->v_stride;
    for (int64_t t = 0; t < held; ++t)
        NAME_data_stage(&call->x, first, held, t, v, scratch);
    for (int64_t panel = 0; panel < plan->panels; ++panel) {
        for (int64_t position = 0; position < NAME_POSITIONS; ++position) {
            const int64_t next = (position + 1) % NAME_POSITIONS;
            const int64_t next_panel = next ? panel : (panel + 1) % plan->panels;
            NAME_product(held, v + position * plan->v_stride, plan->shape.channels,
                         NAME_filter_of(call, position, panel), NAME_filter_of(call, next, next_panel),
                         m + position * plan->m_stride);
        }
        for (int64_t t = 0; t < held; ++t)
            NAME_inverse_stage(call, first, held, t, panel, m + t * NAME_PANEL, scratch);
    }
}

/* Every thread of a team calls this with what is its own. */
static void NAME_fused(const NAME_call *call, NAME_real *own)
{
    const NAME_plan *plan = call->plan;
    const int64_t blocks = NAME_parts(plan->tiles, plan->block);
#ifdef _OPENMP
#pragma omp for schedule(dynamic, 1)
#endif
    for (int64_t block = 0; block < blocks; ++block) {
        const int64_t size = plan->tiles / blocks, larger = plan->tiles % blocks;
        NAME_fused_block(call, block * size + NAME_min(block, larger), size + (block < larger), own + plan->scratch, NAME_scratch_at(own));
    }
}

/* Every thread of a team calls this with what is shared, V and M [position][panel][tile][NAME_PANEL], and its own. */
static void NAME_staged(const NAME_call *call, NAME_real *v, NAME_real *own)
{
    const NAME_plan *plan = call->plan;
    const int64_t panels = plan->panels;
    const NAME_scratch scratch = NAME_scratch_at(own);
    NAME_real *m = v + NAME_POSITIONS * plan->v_stride;
    for (int64_t first = 0; first < plan->tiles; first += plan->block) {
        const int64_t held = NAME_min(plan->block, plan->tiles - first), last = NAME_POSITIONS * panels - 1;
#ifdef _OPENMP
#pragma omp for schedule(dynamic, 1)
#endif
        for (int64_t t = 0; t < held; ++t)
            NAME_data_stage(&call->x, first, held, t, v, scratch);
#ifdef _OPENMP
#pragma omp for schedule(dynamic, panels)
#endif
        for (int64_t work = 0; work <= last; ++work) {
            const int64_t position = work / panels, panel = work % panels, next = NAME_min(work + 1, last);
            NAME_product(held, v + position * plan->v_stride, plan->shape.channels,
                         NAME_filter_of(call, position, panel), NAME_filter_of(call, 0, next),
                         m + position * plan->m_stride + panel * held * NAME_PANEL);
        }
        /* Nobody waits at its end: the next data stage writes V, which is read no more, and has a barrier of its own. */
#ifdef _OPENMP
#pragma omp for schedule(dynamic, 4) nowait
#endif
        for (int64_t work = 0; work < held * panels; ++work) {
            const int64_t t = work / panels, panel = work % panels;
            NAME_inverse_stage(call, first, held, t, panel, m + (panel * held + t) * NAME_PANEL, scratch);
        }
    }
}

const char *NAME_convolve(const NAME_shape *shape, const NAME_stored *x, const NAME_real *u, const NAME_real *bias,
                          const NAME_stored *residual, int relu, NAME_stored *y, NAME_real *workspace, int64_t threads)
{
    NAME_plan plan;
    const char *wrong = NAME_make_plan(shape, threads, &plan);
    if (wrong)
        return wrong;
    if (x == NULL || u == NULL || y == NULL)
        return "x, u and y must not be NULL";
    if (workspace == NULL || (uintptr_t)workspace % 64)
        return "workspace must be aligned to 64 bytes and not NULL";
    const NAME_stored *zeros = memset(workspace, 0, (size_t)plan.zeros * sizeof(NAME_real));
    const NAME_call call = {&plan, NAME_input_windows(&plan, x, zeros), u, bias, residual, relu, y};
    NAME_real *shared = workspace + plan.zeros;
#ifdef _OPENMP
#pragma omp parallel num_threads(NAME_team(threads))
#endif
    {
#ifdef _OPENMP
        NAME_real *own = shared + plan.shared_floats + omp_get_thread_num() * plan.thread_floats;
#else
        NAME_real *own = shared + plan.shared_floats;
#endif
        if (plan.schedule == NAME_FUSED_BLOCKS)
            NAME_fused(&call, own);
        else
            NAME_staged(&call, shared, own);
        NAME_finish_stores();
    }
    return NULL;
}
