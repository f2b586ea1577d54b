/* Arithmetic in float64. */
typedef int64_t NAME_integer; /* as wide */
#define NAME_FMA_512(a, b, c) _mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c))
#define NAME_FMA_256(a, b, c) _mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c))
#define NAME_FMA_128(a, b, c) _mm_fmadd_pd((__m128d)(a), (__m128d)(b), (__m128d)(c))
#define NAME_FMA_1(a, b, c) __builtin_fma(a, b, c)
#define NAME_LOAD_512(lanes, p) _mm512_maskz_loadu_pd((__mmask8)((1u << (lanes)) - 1u), p)
#define NAME_STORE_512(lanes, p, value) _mm512_mask_storeu_pd(p, (__mmask8)((1u << (lanes)) - 1u), (__m512d)(value))
#define NAME_STREAM_512(p, value) _mm512_stream_pd(p, (__m512d)(value))
