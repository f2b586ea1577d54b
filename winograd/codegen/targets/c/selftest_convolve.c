/* Self-test, compiled with -DWINOGRAD_SELFTEST: random integers on odd sizes against direct convolution. The error
   allowed is NAME_SIGMAS standard deviations of the rounding error (see NAME_DEVIATION), relative to the outputs,
   beside the rounding of what is stored. Where that is more than a tenth of the outputs, the arithmetic decides nothing
   and the test says so instead of passing. */
enum { NAME_SIGMAS = 8 };

static NAME_stored *NAME_random_stored(int64_t count)
{
    NAME_stored *values = malloc((size_t)count * sizeof(NAME_stored));
    for (int64_t i = 0; values && i < count; ++i)
        values[i] = NAME_narrow(NAME_random_integer());
    return values;
}

static NAME_real *NAME_random_reals(int64_t count)
{
    NAME_real *values = malloc((size_t)count * sizeof(NAME_real));
    for (int64_t i = 0; values && i < count; ++i)
        values[i] = NAME_random_integer();
    return values;
}

static int64_t NAME_axis_output(const NAME_shape *shape, int axis)
{
    return NAME_padded(shape, axis) - NAME_taps[axis] + 1;
}

/* Where channel c of a place of an image is, in x or in y. */
static int64_t NAME_number(int64_t first, int64_t channels, const int64_t size[3], int64_t n, int64_t c,
                           const int64_t place[3])
{
    const int64_t inside = (place[0] * size[1] + place[1]) * size[2] + place[2], all = size[0] * size[1] * size[2];
    return first ? (n * channels + c) * all + inside : (n * all + inside) * channels + c;
}

static double NAME_direct(const NAME_shape *s, const NAME_stored *x, const NAME_stored *w, int64_t n, int64_t k,
                          const int64_t o[3])
{
    double sum = 0;
    for (int64_t i = 0; i < NAME_R0; ++i)
        for (int64_t j = 0; j < NAME_R1; ++j)
            for (int64_t l = 0; l < NAME_R2; ++l) {
                const int64_t d = o[0] + i - s->low[0], h = o[1] + j - s->low[1], g = o[2] + l - s->low[2];
                if (d < 0 || d >= s->size[0] || h < 0 || h >= s->size[1] || g < 0 || g >= s->size[2])
                    continue;
                const int64_t place[3] = {d, h, g};
                for (int64_t c = 0; c < s->channels; ++c)
                    sum += (double)NAME_widen(x[NAME_number(s->x_channels_first, s->channels, s->size, n, c, place)]) *
                           NAME_widen(w[(k * s->channels + c) * NAME_TAPS + (i * NAME_R1 + j) * NAME_R2 + l]);
            }
    return sum;
}

/* The largest error beyond the rounding of what is stored. */
static double NAME_largest_error(const NAME_shape *s, const NAME_stored *x, const NAME_stored *w, const NAME_real *bias,
                                 const NAME_stored *residual, int relu, const NAME_stored *y)
{
    const int64_t out[3] = {NAME_axis_output(s, 0), NAME_axis_output(s, 1), NAME_axis_output(s, 2)};
    double largest = 0;
    for (int64_t n = 0; n < s->batch; ++n)
        for (int64_t d = 0; d < out[0]; ++d)
            for (int64_t h = 0; h < out[1]; ++h)
                for (int64_t g = 0; g < out[2]; ++g)
                    for (int64_t k = 0; k < s->outputs; ++k) {
                        const int64_t o[3] = {d, h, g};
                        const int64_t at = NAME_number(s->y_channels_first, s->outputs, out, n, k, o);
                        double expected = NAME_direct(s, x, w, n, k, o) + bias[k];
                        if (residual)
                            expected += NAME_widen(residual[at]);
                        if (relu && expected < 0)
                            expected = 0;
                        const double error = fabs(NAME_widen(y[at]) - expected);
                        const double beyond = error - NAME_STORED_UNIT * fabs(expected);
                        if (!(beyond <= largest) && !isnan(largest))
                            largest = beyond;
                    }
    return largest;
}

/* Whether wrong arguments are refused. */
static int NAME_refuses(const NAME_shape *s, const NAME_stored *x, const NAME_real *u, NAME_stored *y,
                        NAME_real *workspace)
{
    NAME_shape empty = *s, narrow = *s, negative = *s, padded = *s, wide = *s, odd = *s;
    empty.channels = 0;
    narrow.size[2] = NAME_R2 - 1, narrow.low[2] = narrow.high[2] = 0;
    negative.low[0] = -1;
    padded.low[0] = INT64_MAX;
    wide.channels = INT64_MAX / 2;
    odd.y_channels_first = 2;
    return NAME_workspace_floats(NULL, 1) == -1 && NAME_workspace_floats(&padded, 1) == -1 &&
           NAME_workspace_floats(&odd, 1) == -1 && NAME_filter_floats(-1, 5) == -1 &&
           NAME_convolve(&padded, x, u, NULL, NULL, 0, y, workspace, 1) &&
           NAME_convolve(&wide, x, u, NULL, NULL, 0, y, workspace, 1) &&
           NAME_convolve(&empty, x, u, NULL, NULL, 0, y, workspace, 1) &&
           NAME_convolve(&narrow, x, u, NULL, NULL, 0, y, workspace, 1) &&
           NAME_convolve(&negative, x, u, NULL, NULL, 0, y, workspace, 1) &&
           NAME_convolve(s, NULL, u, NULL, NULL, 0, y, workspace, 1) &&
           NAME_convolve(s, x, u, NULL, NULL, 0, y, workspace + 1, 1) &&
           NAME_filter(NULL, s->channels, s->outputs, workspace, 1) && NAME_filter(x, 0, s->outputs, workspace, 1);
}

/* Returns the largest error over the largest one allowed, or -1 without memory. */
static double NAME_check(const NAME_shape *s, int relu, int adds)
{
    const int64_t voxels = s->batch * s->size[0] * s->size[1] * s->size[2];
    const int64_t outputs = s->batch * NAME_axis_output(s, 0) * NAME_axis_output(s, 1) * NAME_axis_output(s, 2);
    NAME_stored *x = NAME_random_stored(voxels * s->channels);
    NAME_stored *w = NAME_random_stored(s->outputs * s->channels * NAME_TAPS);
    NAME_stored *y = malloc((size_t)(outputs * s->outputs) * sizeof(NAME_stored));
    NAME_stored *added = NAME_random_stored(outputs * s->outputs);
    const NAME_stored *residual = adds ? added : NULL;
    NAME_real *bias = NAME_random_reals(s->outputs);
    NAME_real *u = malloc((size_t)NAME_filter_floats(s->channels, s->outputs) * sizeof(NAME_real));
    int64_t threads = 1;
#ifdef _OPENMP
    threads = omp_get_max_threads();
#endif
    const size_t bytes = (size_t)NAME_workspace_floats(s, threads) * sizeof(NAME_real);
    NAME_real *workspace = aligned_alloc(64, (bytes + 63) / 64 * 64);
    double ratio = -1;
    if (x && w && added && bias && y && u && workspace && NAME_filter(w, s->channels, s->outputs, u, threads) == NULL) {
        const int right = NAME_refuses(s, x, u, y, workspace) &&
                          NAME_convolve(s, x, u, bias, residual, relu, y, workspace, threads) == NULL;
        const double deviation = NAME_DEVIATION * sqrt((double)(s->channels + NAME_STEPS));
        const double allowed = NAME_SIGMAS * deviation * sqrt((double)(s->channels * NAME_TAPS)) * 20.0 / 3.0 *
                               (1 + NAME_STORED_UNIT);
        ratio = right ? NAME_largest_error(s, x, w, bias, residual, relu, y) / allowed : INFINITY;
    }
    free(x), free(w), free(added), free(bias), free(y), free(u), free(workspace);
    return ratio;
}

/* Shape number i: every size from 1 to 2 (m + r) of an axis comes up, with and without padding, on small and odd
   channels, which come first or last in x and in y; some widths take several runs of tiles. */
static NAME_shape NAME_numbered_shape(int64_t i)
{
    static const int64_t channels[] = {1, 3, 17, 70}, outputs[] = {5, 33, 2, 1};
    NAME_shape s = {.batch = 1 + i % 2, .block = 5 * (i % 3), .schedule = i / 2 % 3};
    s.x_channels_first = i / 3 % 2, s.y_channels_first = i % 2;
    int64_t work = s.batch * NAME_TAPS;
    for (int axis = 0; axis < 3; ++axis) {
        const int64_t taps = NAME_taps[axis], m = NAME_outputs_of_tile[axis];
        const int missing = taps == 1 && m == 1;
        s.size[axis] = missing ? 1 : 1 + (i + 5 * axis) % (2 * (m + taps));
        if (axis == 2 && i % 4 == 1)
            s.size[axis] += 2 * NAME_DATA_ROW;
        s.low[axis] = missing ? 0 : (i / 2 + axis) % (taps + 1);
        s.high[axis] = missing ? 0 : (i / 3 + axis) % 2;
        while (NAME_axis_output(&s, axis) < 1)
            ++s.high[axis];
        work *= NAME_axis_output(&s, axis);
    }
    s.channels = work > 30000 ? 2 : channels[i % 4];
    s.outputs = work > 30000 ? 3 : outputs[i % 4];
    return s;
}

int main(void)
{
    const double relative = NAME_SIGMAS * NAME_DEVIATION * sqrt(1.0 + NAME_STEPS);
    if (relative > 0.1) {
        printf("self-test undecided: rounding errors may reach %.2g of the outputs\n", relative);
        return 3;
    }
    int64_t shapes = 0;
    for (int axis = 0; axis < 3; ++axis) {
        const int64_t sizes = 2 * (NAME_taps[axis] + NAME_outputs_of_tile[axis]);
        shapes = sizes > shapes ? sizes : shapes;
    }
    double largest = 0;
    for (int64_t i = 0; i < shapes; ++i) {
        const NAME_shape s = NAME_numbered_shape(i);
        const double ratio = NAME_check(&s, (int)(i / 2 % 2), (int)(i / 4 % 2));
        if (ratio < 0) {
            fprintf(stderr, "self-test: out of memory\n");
            return 2;
        }
        if (!(ratio <= largest) && !isnan(largest))
            largest = ratio;
    }
    printf("self-test %s: %d shapes, largest error %.3g of the error allowed\n", largest <= 1 ? "passed" : "FAILED",
           (int)shapes, largest);
    return largest <= 1 ? 0 : 1;
}
