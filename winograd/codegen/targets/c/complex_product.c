/* Products of some tiles with a block of channels in complex numbers, whose real and imaginary parts are `v_step`,
   `u_step` and `m_step` numbers apart, for NAME_WIDTH outputs of a panel; otherwise as NAME_product_rows. */
NAME_INLINE void NAME_complex_rows(const int rows, const NAME_real *v, int64_t v_step, int64_t channels,
                                   const NAME_real *u, const NAME_real *next, int64_t u_step, int adds, NAME_real *m,
                                   int64_t m_step)
{
    NAME_vector sums[NAME_ROWS][2];
    for (int i = 0; i < rows; ++i)
        sums[i][0] = sums[i][1] = (NAME_vector){0};
    for (int64_t c = 0; c < channels; ++c) {
        const NAME_vector real = NAME_load(u + c * NAME_PANEL, NAME_WIDTH);
        const NAME_vector imaginary = NAME_load(u + u_step + c * NAME_PANEL, NAME_WIDTH);
        for (int line = 0; next && line < NAME_PANEL; line += NAME_LINE) {
            __builtin_prefetch(next + c * NAME_PANEL + line, 0, 0);
            __builtin_prefetch(next + u_step + c * NAME_PANEL + line, 0, 0);
        }
        for (int i = 0; i < rows; ++i) {
            const NAME_vector a = NAME_splat(v[i * channels + c]), b = NAME_splat(v[v_step + i * channels + c]);
            sums[i][0] = NAME_fma_vectors(a, real, sums[i][0]);
            sums[i][1] = NAME_fma_vectors(a, imaginary, sums[i][1]);
            sums[i][0] = NAME_fma_vectors(-b, imaginary, sums[i][0]);
            sums[i][1] = NAME_fma_vectors(b, real, sums[i][1]);
        }
    }
    for (int i = 0; i < rows; ++i)
        for (int part = 0; part < 2; ++part) {
            NAME_real *p = m + i * NAME_PANEL + part * m_step;
            NAME_store(p, NAME_WIDTH, adds ? sums[i][part] + NAME_load(p, NAME_WIDTH) : sums[i][part]);
        }
}

#define NAME_COMPLEX_CASE(rows) \
    case rows: \
        NAME_complex_rows(rows, v, v_step, channels, u, next, u_step, adds, m, m_step); \
        break;

static void NAME_complex_block(int64_t rows, const NAME_real *v, int64_t v_step, int64_t channels, const NAME_real *u,
                               const NAME_real *next, int64_t u_step, int adds, NAME_real *m, int64_t m_step)
{
    switch (rows) {
        NAME_COMPLEX_CASE(1) NAME_COMPLEX_CASE(2) NAME_COMPLEX_CASE(3) NAME_COMPLEX_CASE(4) NAME_COMPLEX_CASE(5)
        NAME_COMPLEX_CASE(6)
#if NAME_VECTOR_BITS == 512
        NAME_COMPLEX_CASE(7) NAME_COMPLEX_CASE(8) NAME_COMPLEX_CASE(9) NAME_COMPLEX_CASE(10) NAME_COMPLEX_CASE(11)
        NAME_COMPLEX_CASE(12) NAME_COMPLEX_CASE(13) NAME_COMPLEX_CASE(14)
#endif
    }
}

/* The products of a position: those of a real number by themselves, those of a complex one where its real part is. */
static void NAME_position_product(const NAME_plan *plan, int64_t position, int64_t tiles, const NAME_real *v,
                                  int64_t channels, const NAME_real *u, const NAME_real *next, NAME_real *m)
{
    if (position < NAME_REALS) {
        NAME_product(tiles, v, channels, u, next, m);
        return;
    }
    if ((position - NAME_REALS) % 2)
        return;
    const int64_t u_step = plan->panels * channels * NAME_PANEL, parts = (tiles + NAME_ROWS - 1) / NAME_ROWS;
    if (next == u + u_step) /* what follows the imaginary part */
        next = position + 2 < NAME_POSITIONS ? u + 2 * u_step : NULL;
    for (int64_t first = 0; first < channels; first += NAME_CHANNEL_BLOCK) {
        const int64_t block = NAME_min(NAME_CHANNEL_BLOCK, channels - first), after = first + block;
        const NAME_real *ahead = after < channels ? u + after * NAME_PANEL : next;
        for (int64_t half = 0; half < NAME_PANEL; half += NAME_WIDTH)
            for (int64_t part = 0; part < parts; ++part) {
                const int64_t start = part * tiles / parts, end = (part + 1) * tiles / parts;
                NAME_complex_block(end - start, v + first * tiles + start * block, plan->v_stride, block,
                                   u + first * NAME_PANEL + half, half == 0 && part == 0 ? ahead : NULL, u_step,
                                   first > 0, m + start * NAME_PANEL + half, plan->m_stride);
            }
    }
}
