/* Inputs, filters and outputs are stored in float16, as the 16 bits of a number: 1 of sign, 5 of exponent, 10 of
   fraction. Widening is exact; narrowing rounds to nearest, ties to even; a NaN stays a NaN and becomes quiet. */
#if defined(__F16C__)
NAME_INLINE float NAME_widen(NAME_stored a)
{
    return _cvtsh_ss(a);
}

NAME_INLINE NAME_stored NAME_narrow(float a)
{
    return (NAME_stored)_cvtss_sh(a, _MM_FROUND_TO_NEAREST_INT);
}
#else
NAME_INLINE float NAME_widen(NAME_stored a)
{
    const uint32_t magnitude = a & 0x7fffu, sign = (uint32_t)(a & 0x8000u) << 16;
    uint32_t bits = (magnitude << 13) + (112u << 23); /* 112: what the exponents' biases differ by */
    if (magnitude < 0x0400u) { /* zero or subnormal: a count of 2^-24 */
        const float value = (float)magnitude * 0x1p-24f;
        memcpy(&bits, &value, sizeof bits);
    } else if (magnitude >= 0x7c00u) {
        bits += 112u << 23;
        bits |= magnitude > 0x7c00u ? 0x00400000u : 0;
    }
    bits |= sign;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

NAME_INLINE NAME_stored NAME_narrow(float a)
{
    uint32_t bits;
    memcpy(&bits, &a, sizeof bits);
    const uint32_t magnitude = bits & 0x7fffffffu, sign = (bits >> 16) & 0x8000u;
    if (magnitude > 0x7f800000u)
        return (NAME_stored)(sign | 0x7e00u | ((magnitude >> 13) & 0x03ffu));
    if (magnitude >= 0x477ff000u) /* 65520, the middle between the largest number and what would come next */
        return (NAME_stored)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) { /* below 2^-14: beside 1/2, a float32 counts in 2^-24 too */
        const float shifted = __builtin_fabsf(a) + 0.5f;
        memcpy(&bits, &shifted, sizeof bits);
        return (NAME_stored)(sign | (bits - 0x3f000000u));
    }
    return (NAME_stored)(sign | ((magnitude - (112u << 23) + 0x0fffu + ((magnitude >> 13) & 1u)) >> 13));
}
#endif

NAME_INLINE NAME_vector NAME_widen_all(const NAME_stored *p)
{
#if defined(__F16C__) && NAME_VECTOR_BITS == 512
    return (NAME_vector)_mm512_cvtph_ps(_mm256_loadu_si256((const void *)p));
#elif defined(__F16C__) && NAME_VECTOR_BITS == 256
    return (NAME_vector)_mm256_cvtph_ps(_mm_loadu_si128((const void *)p));
#elif defined(__F16C__) && NAME_VECTOR_BITS == 128
    return (NAME_vector)_mm_cvtph_ps(_mm_loadl_epi64((const void *)p));
#else
    NAME_vector value;
    for (int lane = 0; lane < NAME_WIDTH; ++lane)
        value[lane] = NAME_widen(p[lane]);
    return value;
#endif
}

NAME_INLINE void NAME_narrow_all(NAME_stored *p, NAME_vector value)
{
#if defined(__F16C__) && NAME_VECTOR_BITS == 512
    _mm256_storeu_si256((void *)p, _mm512_cvtps_ph((__m512)value, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__F16C__) && NAME_VECTOR_BITS == 256
    _mm_storeu_si128((void *)p, _mm256_cvtps_ph((__m256)value, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__F16C__) && NAME_VECTOR_BITS == 128
    _mm_storel_epi64((void *)p, _mm_cvtps_ph((__m128)value, _MM_FROUND_TO_NEAREST_INT));
#else
    for (int lane = 0; lane < NAME_WIDTH; ++lane)
        p[lane] = NAME_narrow(value[lane]);
#endif
}

/* The same for numbers that were read from float16. */
NAME_INLINE void NAME_narrow_exactly(NAME_stored *p, NAME_vector value)
{
    NAME_narrow_all(p, value);
}
