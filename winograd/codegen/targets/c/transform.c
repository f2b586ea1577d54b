NAME_INLINE void NAME_STAGE_tile(const X_TYPE *x, int64_t x_stride, Y_TYPE *y, int64_t y_stride, int64_t lanes,
                                 VALUE *buffer)
{
BODY
}

const char *NAME_STAGE(const X_TYPE *x, int64_t x_stride, Y_TYPE *y, int64_t y_stride, int64_t count)
{
    const char *wrong = NAME_wrong_arguments(x, x_stride, y, y_stride, count, ELEMENTS);
    if (wrong)
        return wrong;
    enum { BYTES = BUFFER * (int)sizeof(VALUE), SMALL = BYTES <= NAME_STACK };
    VALUE small[SMALL ? BUFFER : 1];
    VALUE *buffer = SMALL ? small : aligned_alloc(64, (BYTES + 63) / 64 * 64);
    if (!buffer)
        return "no memory for the tile";
    int64_t t = 0;
    for (; t + LANES <= count; t += LANES)
        NAME_STAGE_tile(x + t, x_stride, y + t, y_stride, LANES, buffer);
    if (t < count)
        NAME_STAGE_tile(x + t, x_stride, y + t, y_stride, count - t, buffer);
    if (!SMALL)
        free(buffer);
    return NULL;
}
