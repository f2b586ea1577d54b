/* Inputs, filters and outputs are stored in bfloat16: the upper 16 bits of a float32. Widening is exact; narrowing
   rounds to nearest, ties to even; a NaN stays a NaN and becomes quiet. The instructions of AVX512-BF16 are not used:
   they take subnormal numbers for zero. */
typedef uint32_t NAME_words __attribute__((vector_size(sizeof(uint32_t) * NAME_WIDTH)));
typedef NAME_stored NAME_halves __attribute__((vector_size(sizeof(NAME_stored) * NAME_WIDTH)));

/* The upper 16 bits of a number, or of every number of a vector: rounded, and of a NaN. */
#define NAME_ROUNDED(bits) ((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)
#define NAME_QUIET(bits) (bits >> 16 | 0x0040u)

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
    return (NAME_stored)(a != a ? NAME_QUIET(bits) : NAME_ROUNDED(bits));
}

NAME_INLINE NAME_vector NAME_widen_all(const NAME_stored *p)
{
    NAME_halves halves;
    memcpy(&halves, p, sizeof halves);
    return (NAME_vector)(__builtin_convertvector(halves, NAME_words) << 16);
}

NAME_INLINE void NAME_narrow_all(NAME_stored *p, NAME_vector value)
{
    const NAME_words bits = (NAME_words)value, nan = (NAME_words)(value != value);
    const NAME_words upper = (nan & NAME_QUIET(bits)) | (~nan & NAME_ROUNDED(bits));
    const NAME_halves halves = __builtin_convertvector(upper, NAME_halves);
    memcpy(p, &halves, sizeof halves);
}

/* The same for numbers that were read from bfloat16 and need no rounding. */
NAME_INLINE void NAME_narrow_exactly(NAME_stored *p, NAME_vector value)
{
    const NAME_halves halves = __builtin_convertvector((NAME_words)value >> 16, NAME_halves);
    memcpy(p, &halves, sizeof halves);
}
