/* The transforms work on tiles that lie side by side: element number e of tile number t is at x[e * x_stride + t], so
   that a vector holds the same element of neighbouring tiles. Elements of a tile are numbered with its last axis
   fastest. Strides and counts are in numbers, not bytes; x and y must not overlap; any alignment will do.
   Every transform returns NULL, or what is wrong with its arguments, and then writes nothing. */
static const char *NAME_wrong_arguments(const void *x, int64_t x_stride, const void *y, int64_t y_stride, int64_t count)
{
    if (count < 0)
        return "count is negative, must be at least 0";
    if (x_stride < count)
        return "x_stride is smaller than count, must be at least count";
    if (y_stride < count)
        return "y_stride is smaller than count, must be at least count";
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
