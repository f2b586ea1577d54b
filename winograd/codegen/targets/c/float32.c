/* Arithmetic in float32. */
typedef int32_t NAME_integer; /* as wide */
#define NAME_FMA_512(a, b, c) _mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c))
#define NAME_FMA_256(a, b, c) _mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c))
#define NAME_FMA_128(a, b, c) _mm_fmadd_ps((__m128)(a), (__m128)(b), (__m128)(c))
#define NAME_FMA_1(a, b, c) __builtin_fmaf(a, b, c)
#define NAME_LOAD_512(lanes, p) _mm512_maskz_loadu_ps((__mmask16)((1u << (lanes)) - 1u), p)
#define NAME_STORE_512(lanes, p, value) _mm512_mask_storeu_ps(p, (__mmask16)((1u << (lanes)) - 1u), (__m512)(value))
#define NAME_STREAM_512(p, value) _mm512_stream_ps(p, (__m512)(value))
