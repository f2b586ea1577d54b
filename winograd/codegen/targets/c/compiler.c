#if defined(__cplusplus)
#error "this file is C, not C++: compile it by a C compiler, and include it with WINOGRAD_DECLARATIONS_ONLY defined"
#elif !defined(__GNUC__) || !defined(__STDC_VERSION__) || __STDC_VERSION__ < 201112L
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
#if defined(__AVX__)
#include <immintrin.h>
#endif

/* Bits of a vector: those of the compiler's target, or chosen with -DWINOGRAD_VECTOR_BITS=512, 256, 128 or 1, where 1
   stands for one number at a time. */
#if defined(WINOGRAD_VECTOR_BITS)
#define NAME_VECTOR_BITS WINOGRAD_VECTOR_BITS
#elif defined(__AVX512F__)
#define NAME_VECTOR_BITS 512
#elif defined(__FMA__)
#define NAME_VECTOR_BITS 256
#else
#define NAME_VECTOR_BITS 128
#endif
#if NAME_VECTOR_BITS != 512 && NAME_VECTOR_BITS != 256 && NAME_VECTOR_BITS != 128 && NAME_VECTOR_BITS != 1
#error "WINOGRAD_VECTOR_BITS must be 512, 256, 128 or 1"
#elif NAME_VECTOR_BITS == 512 && !defined(__AVX512F__)
#error "WINOGRAD_VECTOR_BITS=512 needs -mavx512f"
#elif defined(__x86_64__) && NAME_VECTOR_BITS == 256 && !defined(__AVX__)
#error "WINOGRAD_VECTOR_BITS=256 needs -mavx2"
#endif

#define NAME_INLINE static inline __attribute__((always_inline, unused))
