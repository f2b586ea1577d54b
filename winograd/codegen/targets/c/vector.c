/* C11 with the vector extensions of GCC and Clang; the width of the vectors and fused multiply-add follow from the
   compiler's target:      cc -std=c11 -O3 -march=native -fopenmp -fPIC -shared FILE.c -o FILE.so
   and to check the file:  cc -std=c11 -O3 -march=native -fopenmp -DWINOGRAD_SELFTEST FILE.c -o selftest -lm && ./selftest */
#if !defined(__GNUC__) || !defined(__STDC_VERSION__) || __STDC_VERSION__ < 201112L
#error "this file needs GCC or Clang and C11 (-std=c11)"
#endif
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Every rounding is written down: the compiler must not fuse a product with a sum by itself. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

#if defined(__AVX512F__)
#include <immintrin.h>
enum { NAME_WIDTH = 16, NAME_ROWS = 12 };
#elif defined(__FMA__)
#include <immintrin.h>
enum { NAME_WIDTH = 8, NAME_ROWS = 6 };
#else
enum { NAME_WIDTH = 4, NAME_ROWS = 6 };
#endif

/* Outputs that are summed at a time. */
enum { NAME_PANEL = 2 * NAME_WIDTH };

typedef float NAME_vector __attribute__((vector_size(4 * NAME_WIDTH)));
typedef int32_t NAME_mask __attribute__((vector_size(4 * NAME_WIDTH)));
typedef float NAME_unaligned __attribute__((vector_size(4 * NAME_WIDTH), aligned(4), may_alias));

#define NAME_INLINE static inline __attribute__((always_inline))

NAME_INLINE NAME_vector NAME_splat(float a)
{
    return a - (NAME_vector){0};
}

NAME_INLINE NAME_vector NAME_fma_vectors(NAME_vector a, NAME_vector b, NAME_vector c)
{
#if defined(__AVX512F__)
    return (NAME_vector)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
    return (NAME_vector)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

NAME_INLINE NAME_vector NAME_fma(float a, NAME_vector b, NAME_vector c)
{
    return NAME_fma_vectors(NAME_splat(a), b, c);
}

NAME_INLINE NAME_vector NAME_fms(float a, NAME_vector b, NAME_vector c)
{
    return NAME_fma_vectors(NAME_splat(a), b, -c);
}

/* The first `lanes` floats at p, then zeros; nothing beyond them is read. */
NAME_INLINE NAME_vector NAME_load(const float *p, int64_t lanes)
{
    if (lanes == NAME_WIDTH)
        return *(const NAME_unaligned *)p;
#if defined(__AVX512F__)
    return (NAME_vector)_mm512_maskz_loadu_ps((__mmask16)((1u << lanes) - 1u), p);
#else
    NAME_vector value = {0};
    memcpy(&value, p, (size_t)lanes * sizeof(float));
    return value;
#endif
}

/* Writes the first `lanes` floats at p and nothing beyond them. */
NAME_INLINE void NAME_store(float *p, int64_t lanes, NAME_vector value)
{
    if (lanes == NAME_WIDTH) {
        *(NAME_unaligned *)p = value;
        return;
    }
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << lanes) - 1u), (__m512)value);
#else
    memcpy(p, &value, (size_t)lanes * sizeof(float));
#endif
}

/* Negative lanes become zero; a NaN stays what it is. */
NAME_INLINE NAME_vector NAME_relu(NAME_vector a)
{
    return (NAME_vector)((NAME_mask)a & ~(NAME_mask)(a < 0.0f));
}

NAME_INLINE int64_t NAME_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

NAME_INLINE int64_t NAME_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
