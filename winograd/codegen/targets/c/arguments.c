/* NULL, or what is wrong with arguments for tiles of so many elements. */
static const char *NAME_wrong_arguments(const void *x, int64_t x_stride, const void *y, int64_t y_stride, int64_t count,
                                        int64_t elements)
{
    const int64_t largest = PTRDIFF_MAX / 8 / elements;
    if (count < 0)
        return "count is negative, must be at least 0";
    if (x_stride < count)
        return "x_stride is smaller than count, must be at least count";
    if (y_stride < count)
        return "y_stride is smaller than count, must be at least count";
    if (x_stride > largest || y_stride > largest)
        return "x_stride or y_stride is too large, tiles must fit into memory";
    if (count > 0 && x == NULL)
        return "x is NULL, must be the address of the first element of the first tile";
    if (count > 0 && y == NULL)
        return "y is NULL, must be the address of the first element of the first tile";
    return NULL;
}

/* Memory of at most this many bytes lies on the stack. */
enum { NAME_STACK = 65536 };

/* Turns of the next loop that GCC writes out; Clang chooses by itself. */
#define NAME_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define NAME_UNROLL(turns)
#else
#define NAME_UNROLL(turns) NAME_PRAGMA(GCC unroll turns)
#endif
