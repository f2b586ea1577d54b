/* Tiles whose sums are held in registers at a time. */
enum { NAME_ROWS = NAME_VECTOR_BITS == 512 ? 12 : 6 };

/* Products: M[tile][output] = sum over channels of V[tile][channel] U[channel][output], NAME_PANEL outputs at a time.
   Partial sums of NAME_CHANNEL_BLOCK channels stay in registers and are then added to M: the error of the sum grows
   with the number of blocks, not of channels. */
NAME_INLINE void NAME_product_rows(const int rows, const NAME_real *v, int64_t channels, const NAME_real *u,
                                   NAME_real *m)
{
    for (int64_t first = 0; first < channels; first += NAME_CHANNEL_BLOCK) {
        const int64_t last = NAME_min(first + NAME_CHANNEL_BLOCK, channels);
        NAME_vector sums[NAME_ROWS][2];
        for (int i = 0; i < rows; ++i)
            sums[i][0] = sums[i][1] = (NAME_vector){0};
        for (int64_t c = first; c < last; ++c) {
            const NAME_vector low = NAME_load(u + c * NAME_PANEL, NAME_WIDTH);
            const NAME_vector high = NAME_load(u + c * NAME_PANEL + NAME_WIDTH, NAME_WIDTH);
            for (int i = 0; i < rows; ++i) {
                const NAME_vector value = NAME_splat(v[i * channels + c]);
                sums[i][0] = NAME_fma_vectors(value, low, sums[i][0]);
                sums[i][1] = NAME_fma_vectors(value, high, sums[i][1]);
            }
        }
        for (int i = 0; i < rows; ++i)
            for (int half = 0; half < 2; ++half) {
                NAME_real *p = m + i * NAME_PANEL + half * NAME_WIDTH;
                NAME_vector total = sums[i][half];
                if (first > 0)
                    total += NAME_load(p, NAME_WIDTH);
                NAME_store(p, NAME_WIDTH, total);
            }
    }
}

#define NAME_CASE(rows) \
    case rows: \
        NAME_product_rows(rows, v, channels, u, m); \
        break;

static void NAME_product_block(int64_t rows, const NAME_real *v, int64_t channels, const NAME_real *u, NAME_real *m)
{
    switch (rows) {
        NAME_CASE(1) NAME_CASE(2) NAME_CASE(3) NAME_CASE(4) NAME_CASE(5) NAME_CASE(6)
#if NAME_VECTOR_BITS == 512
        NAME_CASE(7) NAME_CASE(8) NAME_CASE(9) NAME_CASE(10) NAME_CASE(11) NAME_CASE(12)
#endif
    }
}

/* All tiles of one position and one panel, in blocks of rows of nearly equal size. */
static void NAME_product(int64_t tiles, const NAME_real *v, int64_t channels, const NAME_real *u, NAME_real *m)
{
    const int64_t blocks = (tiles + NAME_ROWS - 1) / NAME_ROWS;
    for (int64_t block = 0; block < blocks; ++block) {
        const int64_t first = block * tiles / blocks, last = (block + 1) * tiles / blocks;
        NAME_product_block(last - first, v + first * channels, channels, u, m + first * NAME_PANEL);
    }
}
