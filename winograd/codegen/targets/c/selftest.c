/* Self-test, compiled with -DWINOGRAD_SELFTEST: random integers on odd sizes against direct convolution. The error
   allowed is NAME_SIGMAS standard deviations of the rounding error (see NAME_DEVIATION), relative to the outputs. Where
   that is more than a tenth of the outputs, float32 decides nothing and the test says so instead of passing. */
#ifdef WINOGRAD_SELFTEST
#include <math.h>
#include <stdio.h>

enum { NAME_SIGMAS = 8 };

static uint64_t NAME_state = 1;

static float NAME_random_integer(void)
{
    NAME_state = NAME_state * 6364136223846793005u + 1442695040888963407u;
    return (float)((int64_t)(NAME_state >> 33) % 9 - 4);
}

static float *NAME_random_floats(int64_t count)
{
    float *values = malloc((size_t)count * sizeof(float));
    for (int64_t i = 0; values && i < count; ++i)
        values[i] = NAME_random_integer();
    return values;
}

static double NAME_direct(const NAME_shape *s, const float *x, const float *w, int64_t n, int64_t k, const int64_t o[3])
{
    double sum = 0;
    for (int64_t i = 0; i < NAME_R0; ++i)
        for (int64_t j = 0; j < NAME_R1; ++j)
            for (int64_t l = 0; l < NAME_R2; ++l) {
                const int64_t d = o[0] + i - s->low[0], h = o[1] + j - s->low[1], g = o[2] + l - s->low[2];
                if (d < 0 || d >= s->size[0] || h < 0 || h >= s->size[1] || g < 0 || g >= s->size[2])
                    continue;
                const float *voxel = x + (((n * s->size[0] + d) * s->size[1] + h) * s->size[2] + g) * s->channels;
                for (int64_t c = 0; c < s->channels; ++c)
                    sum += (double)voxel[c] * w[(k * s->channels + c) * NAME_TAPS + (i * NAME_R1 + j) * NAME_R2 + l];
            }
    return sum;
}

static double NAME_largest_error(const NAME_shape *s, const float *x, const float *w, const float *bias, int relu,
                                 const float *y)
{
    const int64_t out[3] = {NAME_axis_output(s, 0), NAME_axis_output(s, 1), NAME_axis_output(s, 2)};
    double largest = 0;
    for (int64_t n = 0; n < s->batch; ++n)
        for (int64_t d = 0; d < out[0]; ++d)
            for (int64_t h = 0; h < out[1]; ++h)
                for (int64_t g = 0; g < out[2]; ++g)
                    for (int64_t k = 0; k < s->outputs; ++k) {
                        const int64_t o[3] = {d, h, g};
                        double expected = NAME_direct(s, x, w, n, k, o) + bias[k];
                        if (relu && expected < 0)
                            expected = 0;
                        const int64_t voxel = ((n * out[0] + d) * out[1] + h) * out[2] + g;
                        const double error = fabs(y[voxel * s->outputs + k] - expected);
                        if (!(error <= largest) && !isnan(largest))
                            largest = error;
                    }
    return largest;
}

/* Returns the largest error over the largest one allowed, or -1 without memory. */
static double NAME_check(const NAME_shape *s, int relu)
{
    const int64_t voxels = s->batch * s->size[0] * s->size[1] * s->size[2];
    const int64_t outputs = s->batch * NAME_axis_output(s, 0) * NAME_axis_output(s, 1) * NAME_axis_output(s, 2);
    float *x = NAME_random_floats(voxels * s->channels), *w = NAME_random_floats(s->outputs * s->channels * NAME_TAPS);
    float *bias = NAME_random_floats(s->outputs), *y = malloc((size_t)(outputs * s->outputs) * sizeof(float));
    float *u = malloc((size_t)NAME_filter_floats(s->channels, s->outputs) * sizeof(float));
    int64_t threads = 1;
#ifdef _OPENMP
    threads = omp_get_max_threads();
#endif
    const size_t bytes = (size_t)NAME_workspace_floats(s, threads) * sizeof(float);
    float *workspace = aligned_alloc(64, (bytes + 63) / 64 * 64);
    double ratio = -1;
    if (x && w && bias && y && u && workspace && NAME_filter(w, s->channels, s->outputs, u, threads) == 0) {
        NAME_convolve(s, x, u, bias, relu, y, workspace, threads);
        /* The integers -4 .. 4 have variance 20 / 3. */
        const double deviation = NAME_DEVIATION * sqrt((double)(s->channels + NAME_STEPS));
        const double allowed = NAME_SIGMAS * deviation * sqrt((double)(s->channels * NAME_TAPS)) * 20.0 / 3.0;
        ratio = NAME_largest_error(s, x, w, bias, relu, y) / allowed;
    }
    free(x), free(w), free(bias), free(y), free(u), free(workspace);
    return ratio;
}

/* Shape number i: every size from 1 to 2 (m + r) of an axis comes up, with and without padding, on small and odd channels. */
static NAME_shape NAME_numbered_shape(int64_t i)
{
    static const int64_t channels[] = {1, 3, 17, 70}, outputs[] = {5, 33, 2, 1};
    NAME_shape s = {.batch = 1 + i % 2, .block = 1 + 5 * (i % 3), .task = 1 + 2 * (i % 4)};
    int64_t work = s.batch * NAME_TAPS;
    for (int axis = 0; axis < 3; ++axis) {
        const int64_t taps = NAME_taps[axis], m = NAME_outputs_of_tile[axis];
        const int missing = taps == 1 && m == 1;
        s.size[axis] = missing ? 1 : 1 + (i + 5 * axis) % (2 * (m + taps));
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
        printf("self-test undecided: rounding errors in float32 may reach %.2g of the outputs\n", relative);
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
        const double ratio = NAME_check(&s, (int)(i / 2 % 2));
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
#endif
