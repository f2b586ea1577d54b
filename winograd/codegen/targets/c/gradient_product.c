enum {
    /* Channels whose sums are held in registers at a time. */
    NAME_ROWS = NAME_VECTOR_BITS == 512 ? 14 : 6,
    /* Tiles per partial sum: the error of the sum grows with their number, not with all tiles. */
    NAME_TILE_BLOCK = 64,
    /* Numbers of a cache line. */
    NAME_LINE = 64 / (int)sizeof(NAME_real)
};

/* What is read next: lines of V and M, of every tile one, or NULL. */
typedef struct {
    const NAME_real *v, *m;
} NAME_ahead;

/* Sums over some tiles of the products of channels with outputs: u[channel][output] = or += the sum of v[tile][channel]
   m[tile][output], NAME_PANEL outputs, `width` channels from tile to tile. They stay in registers and are then added to u,
   which is fetched meanwhile, as is what is read next. */
NAME_INLINE void NAME_sum_rows(const int rows, int64_t tiles, const NAME_real *v, int64_t width, const NAME_real *m,
                               NAME_ahead ahead, int adds, NAME_real *u)
{
    for (int line = 0; line < rows * NAME_PANEL; line += NAME_LINE)
        __builtin_prefetch(u + line, 1);
    NAME_vector sums[NAME_ROWS][2];
    for (int i = 0; i < rows; ++i)
        sums[i][0] = sums[i][1] = (NAME_vector){0};
    for (int64_t t = 0; t < tiles; ++t) {
        const NAME_vector low = NAME_load(m + t * NAME_PANEL, NAME_WIDTH);
        const NAME_vector high = NAME_load(m + t * NAME_PANEL + NAME_WIDTH, NAME_WIDTH);
        if (ahead.v)
            __builtin_prefetch(ahead.v + t * width);
        if (ahead.m)
            __builtin_prefetch(ahead.m + t * NAME_PANEL);
        for (int i = 0; i < rows; ++i) {
            const NAME_vector value = NAME_splat(v[t * width + i]);
            sums[i][0] = NAME_fma_vectors(value, low, sums[i][0]);
            sums[i][1] = NAME_fma_vectors(value, high, sums[i][1]);
        }
    }
    for (int i = 0; i < rows; ++i)
        for (int half = 0; half < 2; ++half) {
            NAME_real *p = u + i * NAME_PANEL + half * NAME_WIDTH;
            NAME_store(p, NAME_WIDTH, adds ? sums[i][half] + NAME_load(p, NAME_WIDTH) : sums[i][half]);
        }
}

#define NAME_CASE(rows) \
    case rows: \
        NAME_sum_rows(rows, tiles, v, width, m, ahead, adds, u); \
        break;

static void NAME_sum_block(int64_t rows, int64_t tiles, const NAME_real *v, int64_t width, const NAME_real *m,
                           NAME_ahead ahead, int adds, NAME_real *u)
{
    switch (rows) {
        NAME_CASE(1) NAME_CASE(2) NAME_CASE(3) NAME_CASE(4) NAME_CASE(5) NAME_CASE(6)
#if NAME_VECTOR_BITS == 512
        NAME_CASE(7) NAME_CASE(8) NAME_CASE(9) NAME_CASE(10) NAME_CASE(11) NAME_CASE(12) NAME_CASE(13) NAME_CASE(14)
#endif
    }
}

/* The same of all tiles that are held, for a block of `width` channels, in rows of nearly equal number; `next` is where V
   and M go on after them. While a part of the rows is summed, a line per tile of the next tiles is fetched. */
static void NAME_sum_tiles(int64_t tiles, const NAME_real *v, int64_t width, const NAME_real *m, NAME_ahead next, int adds,
                           NAME_real *u)
{
    const int64_t parts = (width + NAME_ROWS - 1) / NAME_ROWS;
    for (int64_t first = 0; first < tiles; first += NAME_TILE_BLOCK) {
        const int64_t held = NAME_min(NAME_TILE_BLOCK, tiles - first), after = first + held;
        const NAME_real *next_v = after < tiles ? v + after * width : next.v;
        const NAME_real *next_m = after < tiles ? m + after * NAME_PANEL : next.m;
        for (int64_t part = 0; part < parts; ++part) {
            const int64_t start = part * width / parts, end = (part + 1) * width / parts, line = part * NAME_LINE;
            const NAME_ahead ahead = {line < width ? next_v + line : NULL, line < NAME_PANEL ? next_m + line : NULL};
            NAME_sum_block(end - start, held, v + first * width + start, width, m + first * NAME_PANEL, ahead,
                           adds || first > 0, u + start * NAME_PANEL);
        }
    }
}
