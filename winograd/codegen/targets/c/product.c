enum {
    /* Tiles whose sums are held in registers at a time. */
    NAME_ROWS = NAME_VECTOR_BITS == 512 ? 14 : 6,
    /* Numbers of a cache line. */
    NAME_LINE = 64 / (int)sizeof(NAME_real)
};

/* Products of some tiles with a block of channels: m[tile][output] = or += the sum over channels of v[tile][channel]
   u[channel][output], NAME_PANEL outputs. The sums of the block stay in registers and are then added to m: the error of
   the whole sum grows with the number of blocks, not of channels. `next` is what u will be next, or NULL. */
NAME_INLINE void NAME_product_rows(const int rows, const NAME_real *v, int64_t channels, const NAME_real *u,
                                   const NAME_real *next, int adds, NAME_real *m)
{
    NAME_vector sums[NAME_ROWS][2];
    for (int i = 0; i < rows; ++i)
        sums[i][0] = sums[i][1] = (NAME_vector){0};
    for (int64_t c = 0; c < channels; ++c) {
        const NAME_vector low = NAME_load(u + c * NAME_PANEL, NAME_WIDTH);
        const NAME_vector high = NAME_load(u + c * NAME_PANEL + NAME_WIDTH, NAME_WIDTH);
        for (int line = 0; next && line < NAME_PANEL; line += NAME_LINE)
            __builtin_prefetch(next + c * NAME_PANEL + line, 0, 0); /* past the caches: it is not read again soon */
        for (int i = 0; i < rows; ++i) {
            const NAME_vector value = NAME_splat(v[i * channels + c]);
            sums[i][0] = NAME_fma_vectors(value, low, sums[i][0]);
            sums[i][1] = NAME_fma_vectors(value, high, sums[i][1]);
        }
    }
    for (int i = 0; i < rows; ++i)
        for (int half = 0; half < 2; ++half) {
            NAME_real *p = m + i * NAME_PANEL + half * NAME_WIDTH;
            NAME_store(p, NAME_WIDTH, adds ? sums[i][half] + NAME_load(p, NAME_WIDTH) : sums[i][half]);
        }
}

#define NAME_CASE(rows) \
    case rows: \
        NAME_product_rows(rows, v, channels, u, next, adds, m); \
        break;

static void NAME_product_block(int64_t rows, const NAME_real *v, int64_t channels, const NAME_real *u,
                               const NAME_real *next, int adds, NAME_real *m)
{
    switch (rows) {
        NAME_CASE(1) NAME_CASE(2) NAME_CASE(3) NAME_CASE(4) NAME_CASE(5) NAME_CASE(6)
#if NAME_VECTOR_BITS == 512
        NAME_CASE(7) NAME_CASE(8) NAME_CASE(9) NAME_CASE(10) NAME_CASE(11) NAME_CASE(12) NAME_CASE(13) NAME_CASE(14)
#endif
    }
}

/* All tiles of one position and one panel: M [tile][NAME_PANEL] from V [channel block][tile][channel of the block] and U
   [channel][NAME_PANEL]. Tiles are taken in rows of nearly equal number; while the first of them are multiplied with a
   block of U, the next block is fetched, after the last one that at `next`. */
static void NAME_product(int64_t tiles, const NAME_real *v, int64_t channels, const NAME_real *u,
                         const NAME_real *next, NAME_real *m)
{
    const int64_t parts = (tiles + NAME_ROWS - 1) / NAME_ROWS;
    for (int64_t first = 0; first < channels; first += NAME_CHANNEL_BLOCK) {
        const int64_t block = NAME_min(NAME_CHANNEL_BLOCK, channels - first), after = first + block;
        const NAME_real *ahead = after < channels ? u + after * NAME_PANEL : next;
        for (int64_t part = 0; part < parts; ++part) {
            const int64_t start = part * tiles / parts, end = (part + 1) * tiles / parts;
            NAME_product_block(end - start, v + first * tiles + start * block, block, u + first * NAME_PANEL,
                               part == 0 ? ahead : NULL, first > 0, m + start * NAME_PANEL);
        }
    }
}
