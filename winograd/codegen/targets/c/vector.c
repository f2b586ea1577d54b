enum {
    /* Numbers in a vector. */
    NAME_WIDTH = NAME_VECTOR_BITS == 1 ? 1 : NAME_VECTOR_BITS / 8 / (int)sizeof(NAME_real),
    /* Outputs that are summed, and whose filters are transformed, at a time. */
    NAME_PANEL = 2 * NAME_WIDTH
};

typedef NAME_real NAME_vector __attribute__((vector_size(sizeof(NAME_real) * NAME_WIDTH)));
typedef NAME_integer NAME_mask __attribute__((vector_size(sizeof(NAME_real) * NAME_WIDTH)));
typedef NAME_real NAME_unaligned
    __attribute__((vector_size(sizeof(NAME_real) * NAME_WIDTH), aligned(sizeof(NAME_real)), may_alias));

NAME_INLINE NAME_vector NAME_splat(NAME_real a)
{
    return a - (NAME_vector){0};
}

/* a * b + c, rounded once where the file was made with fused multiply-add and the target has it, else twice. */
NAME_INLINE NAME_vector NAME_fma_vectors(NAME_vector a, NAME_vector b, NAME_vector c)
{
#if !NAME_FUSED || !(defined(__FMA__) || NAME_VECTOR_BITS == 512)
    return a * b + c;
#elif NAME_VECTOR_BITS == 512
    return (NAME_vector)NAME_FMA_512(a, b, c);
#elif NAME_VECTOR_BITS == 256
    return (NAME_vector)NAME_FMA_256(a, b, c);
#elif NAME_VECTOR_BITS == 128
    return (NAME_vector)NAME_FMA_128(a, b, c);
#else
    return (NAME_vector){NAME_FMA_1(a[0], b[0], c[0])};
#endif
}

NAME_INLINE NAME_vector NAME_fma(NAME_real a, NAME_vector b, NAME_vector c)
{
    return NAME_fma_vectors(NAME_splat(a), b, c);
}

NAME_INLINE NAME_vector NAME_fms(NAME_real a, NAME_vector b, NAME_vector c)
{
    return NAME_fma_vectors(NAME_splat(a), b, -c);
}

/* The first `lanes` numbers at p, then zeros; nothing beyond them is read. */
NAME_INLINE NAME_vector NAME_load(const NAME_real *p, int64_t lanes)
{
    if (lanes == NAME_WIDTH)
        return *(const NAME_unaligned *)p;
#if NAME_VECTOR_BITS == 512
    return (NAME_vector)NAME_LOAD_512(lanes, p);
#else
    NAME_vector value = {0};
    memcpy(&value, p, (size_t)lanes * sizeof(NAME_real));
    return value;
#endif
}

/* Writes the first `lanes` numbers at p and nothing beyond them. */
NAME_INLINE void NAME_store(NAME_real *p, int64_t lanes, NAME_vector value)
{
    if (lanes == NAME_WIDTH) {
        *(NAME_unaligned *)p = value;
        return;
    }
#if NAME_VECTOR_BITS == 512
    NAME_STORE_512(lanes, p, value);
#else
    memcpy(p, &value, (size_t)lanes * sizeof(NAME_real));
#endif
}

NAME_INLINE int64_t NAME_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

NAME_INLINE int64_t NAME_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
