/* The first `lanes` stored numbers at p, then zeros; nothing beyond them is read. */
NAME_INLINE NAME_vector NAME_read(const NAME_stored *p, int64_t lanes)
{
    if (lanes == NAME_WIDTH)
        return NAME_widen_all(p);
    NAME_stored some[NAME_WIDTH] = {0};
#if NAME_VECTOR_BITS == 512 && defined(__AVX512BW__) && defined(__AVX512VL__)
    _mm256_storeu_si256((void *)some, _mm256_maskz_loadu_epi16((__mmask16)((1u << lanes) - 1u), p));
#else
    memcpy(some, p, (size_t)lanes * sizeof(NAME_stored));
#endif
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
#if NAME_VECTOR_BITS == 512 && defined(__AVX512BW__) && defined(__AVX512VL__)
    _mm256_mask_storeu_epi16(p, (__mmask16)((1u << lanes) - 1u), _mm256_loadu_si256((const void *)some));
#else
    memcpy(p, some, (size_t)lanes * sizeof(NAME_stored));
#endif
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
