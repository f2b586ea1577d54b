/* core = the phases of the samples of x, whose first copied channel x points to. At most `threads` threads are used, one
   if that is less than 1. Returns NULL, or what is wrong with the arguments, and then writes nothing. */
const char *NAME_split(const NAME_copy *shape, const void *x, void *core, int64_t threads)
{
    const char *wrong = NAME_wrong(shape);
    if (wrong)
        return wrong;
    for (int axis = 0; axis < 3; ++axis)
        if (shape->period[axis] < 1)
            return "period must be at least 1";
    if (x == NULL || core == NULL)
        return "x and core must not be NULL";
    if (shape->element == 2)
        NAME_split_uint16_t(shape, x, core, threads);
    else if (shape->element == 4)
        NAME_split_uint32_t(shape, x, core, threads);
    else
        NAME_split_uint64_t(shape, x, core, threads);
    return NULL;
}

/* y = the outputs of core put where they belong: output o of phase p at output_phases * o + p; those beyond are dropped.
   y points to the first channel that is written. */
const char *NAME_join(const NAME_copy *shape, const void *core, void *y, int64_t threads)
{
    const char *wrong = NAME_wrong(shape);
    if (wrong)
        return wrong;
    for (int axis = 0; axis < 3; ++axis)
        if (shape->tap_phases[axis] != 1 || (shape->size[axis] - 1) / shape->output_phases[axis] >= shape->core[axis])
            return "tap_phases must be 1, and core have all outputs";
    if (core == NULL || y == NULL)
        return "core and y must not be NULL";
    if (shape->element == 2)
        NAME_join_uint16_t(shape, core, y, threads);
    else if (shape->element == 4)
        NAME_join_uint32_t(shape, core, y, threads);
    else
        NAME_join_uint64_t(shape, core, y, threads);
    return NULL;
}
