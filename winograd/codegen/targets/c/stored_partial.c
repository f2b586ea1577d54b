/* The first `lanes` stored numbers at p, then zeros; nothing beyond them is read. */
NAME_INLINE NAME_vector NAME_read(const NAME_stored *p, int64_t lanes)
{
    if (lanes == NAME_WIDTH)
        return NAME_widen_all(p);
    NAME_stored some[NAME_WIDTH] = {0};
    memcpy(some, p, (size_t)lanes * sizeof(NAME_stored));
    return NAME_widen_all(some);
}

/* Writes the first `lanes` numbers at p, rounded, and nothing beyond them. */
NAME_INLINE void NAME_write(NAME_stored *p, int64_t lanes, NAME_vector value)
{
    if (lanes == NAME_WIDTH) {
        NAME_narrow_all(p, value);
        return;
    }
    NAME_stored some[NAME_WIDTH];
    NAME_narrow_all(some, value);
    memcpy(p, some, (size_t)lanes * sizeof(NAME_stored));
}

/* A vector of 16-bit numbers fills half a cache line: nothing is written past the caches. */
enum { NAME_CAN_STREAM = 0 };
NAME_INLINE void NAME_stream(NAME_stored *p, NAME_vector value)
{
    NAME_write(p, NAME_WIDTH, value);
}

NAME_INLINE void NAME_finish_stores(void)
{
}
