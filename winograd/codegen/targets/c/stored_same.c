/* Inputs, filters and outputs are stored in the type of the arithmetic. */
NAME_INLINE NAME_real NAME_widen(NAME_stored a)
{
    return a;
}

NAME_INLINE NAME_stored NAME_narrow(NAME_real a)
{
    return a;
}

NAME_INLINE NAME_vector NAME_read(const NAME_stored *p, int64_t lanes)
{
    return NAME_load(p, lanes);
}

NAME_INLINE void NAME_write(NAME_stored *p, int64_t lanes, NAME_vector value)
{
    NAME_store(p, lanes, value);
}
