/* Self-test, compiled with -DWINOGRAD_SELFTEST: random integers, scaled where outputs could overflow, against the
   matrices in double. The error allowed is a bound that no correct code exceeds, derived from the programs: `allowed`
   times what the programs make of inputs 1 without signs, and `relative` of the output and `least` for what is rounded
   at the end. */
typedef struct {
    int64_t rows[3], columns[3]; /* of the matrix of each axis */
    const double *entries[3]; /* row after row */
    const double *sizes[3]; /* of the outputs for inputs 1 without signs */
    double scale, allowed, relative, least;
} NAME_matrices;

static int64_t NAME_volume(const int64_t size[3])
{
    return size[0] * size[1] * size[2];
}

/* Elements of the tile when it is largest: some axes before, the others after their matrix. */
static int64_t NAME_largest_volume(const NAME_matrices *m)
{
    int64_t volume = 1;
    for (int axis = 0; axis < 3; ++axis)
        volume *= m->rows[axis] > m->columns[axis] ? m->rows[axis] : m->columns[axis];
    return volume;
}

/* The tile multiplied by the matrix of every axis; memory for three tiles is used from `tile` on. */
static const double *NAME_multiplied(const NAME_matrices *m, double *tile)
{
    int64_t size[3] = {m->columns[0], m->columns[1], m->columns[2]};
    double *from = tile, *to = tile + NAME_largest_volume(m), *spare = to + NAME_largest_volume(m);
    for (int axis = 0; axis < 3; ++axis) {
        int64_t outer = 1, inner = 1;
        for (int other = 0; other < 3; ++other)
            *(other < axis ? &outer : &inner) *= other == axis ? 1 : size[other];
        for (int64_t o = 0; o < outer; ++o)
            for (int64_t row = 0; row < m->rows[axis]; ++row)
                for (int64_t i = 0; i < inner; ++i) {
                    double sum = 0;
                    for (int64_t column = 0; column < m->columns[axis]; ++column)
                        sum += m->entries[axis][row * m->columns[axis] + column] *
                               from[(o * m->columns[axis] + column) * inner + i];
                    to[(o * m->rows[axis] + row) * inner + i] = sum;
                }
        size[axis] = m->rows[axis];
        double *read = from;
        from = to, to = axis == 0 ? spare : read;
    }
    return from;
}

static double NAME_larger(double a, double b)
{
    return a >= b || isnan(a) ? a : b;
}

/* The error of output number e over the error allowed. */
static double NAME_ratio(const NAME_matrices *m, int64_t e, double exact, double output)
{
    const int64_t plane = m->rows[1] * m->rows[2];
    const double size = m->sizes[0][e / plane] * m->sizes[1][e % plane / m->rows[2]] * m->sizes[2][e % m->rows[2]];
    return fabs(output - exact) / (m->allowed * size + m->relative * fabs(exact) + m->least);
}
