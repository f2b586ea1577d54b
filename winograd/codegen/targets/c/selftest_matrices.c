/* Self-test, compiled with -DWINOGRAD_SELFTEST: random integers, scaled where outputs could overflow, against the
   matrices in double. The error allowed is a bound that no correct code exceeds, derived from the programs: `allowed`,
   and `relative` of the output for what is rounded at the end. Where it is more than a tenth of the outputs, the
   arithmetic decides nothing and the test says so instead of passing. */
typedef struct {
    int64_t rows[3], columns[3]; /* of the matrix of each axis */
    const double *entries[3]; /* row after row */
    double scale, allowed, relative;
} NAME_matrices;

static double NAME_largest_output; /* that any check has seen, over the error allowed */

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

/* The error of an output over the error allowed; beyond the tiles there is no exact output, and 77 must remain. */
static double NAME_ratio(const NAME_matrices *m, const double *exact, double output)
{
    if (!exact)
        return output == 77 ? 0 : INFINITY;
    NAME_largest_output = NAME_larger(NAME_largest_output, fabs(*exact) / m->allowed);
    return fabs(output - *exact) / (m->allowed + m->relative * fabs(*exact));
}
