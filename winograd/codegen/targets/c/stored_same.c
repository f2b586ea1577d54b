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

/* Writes a vector of numbers that were read. */
NAME_INLINE void NAME_narrow_exactly(NAME_stored *p, NAME_vector value)
{
    NAME_store(p, NAME_WIDTH, value);
}

/* Writing a whole cache line past the caches, and what has to follow before others read it. */
#if NAME_VECTOR_BITS == 512
enum { NAME_CAN_STREAM = 1 };
NAME_INLINE void NAME_stream(NAME_stored *p, NAME_vector value)
{
    NAME_STREAM_512(p, value);
}

NAME_INLINE void NAME_finish_stores(void)
{
    _mm_sfence();
}
#else
enum { NAME_CAN_STREAM = 0 };
NAME_INLINE void NAME_stream(NAME_stored *p, NAME_vector value)
{
    NAME_write(p, NAME_WIDTH, value);
}

NAME_INLINE void NAME_finish_stores(void)
{
}
#endif
