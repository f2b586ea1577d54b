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
