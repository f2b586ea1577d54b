/* Inputs, filters and outputs are stored in bfloat16: the upper 16 bits of a float32. Widening is exact; narrowing
   rounds to nearest, ties to even; a NaN stays a NaN and becomes quiet. The instructions of AVX512-BF16 are not used:
   they take subnormal numbers for zero. */
NAME_INLINE float NAME_widen(NAME_stored a)
{
    const uint32_t bits = (uint32_t)a << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

NAME_INLINE NAME_stored NAME_narrow(float a)
{
    uint32_t bits;
    memcpy(&bits, &a, sizeof bits);
    const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16, quiet = bits >> 16 | 0x0040u;
    return (NAME_stored)((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

NAME_INLINE NAME_vector NAME_widen_all(const NAME_stored *p)
{
    float values[NAME_WIDTH];
    for (int lane = 0; lane < NAME_WIDTH; ++lane)
        values[lane] = NAME_widen(p[lane]);
    return NAME_load(values, NAME_WIDTH);
}

NAME_INLINE void NAME_narrow_all(NAME_stored *p, NAME_vector value)
{
    float values[NAME_WIDTH];
    NAME_store(values, NAME_WIDTH, value);
    for (int lane = 0; lane < NAME_WIDTH; ++lane)
        p[lane] = NAME_narrow(values[lane]);
}
