/* The copies of numbers of one width, ELEMENT. */

/* count runs of `run` numbers each, `to_step` and `from_step` apart. */
static inline __attribute__((always_inline)) void NAME_runs_of_ELEMENT(ELEMENT *to, int64_t to_step,
                                                                       const ELEMENT *from, int64_t from_step,
                                                                       int64_t count, int64_t run)
{
    for (int64_t k = 0; k < count; ++k)
        memcpy(to + k * to_step, from + k * from_step, (size_t)run * sizeof *to);
}

static void NAME_runs_ELEMENT(ELEMENT *to, int64_t to_step, const ELEMENT *from, int64_t from_step, int64_t count,
                              int64_t run)
{
    if (to_step == run && from_step == run && count > 0) {
        memcpy(to, from, (size_t)(run * count) * sizeof *to);
        return;
    }
    switch (run) { /* short runs of a known length need no call */
    case 1:
        NAME_runs_of_ELEMENT(to, to_step, from, from_step, count, 1);
        return;
    case 2:
        NAME_runs_of_ELEMENT(to, to_step, from, from_step, count, 2);
        return;
    case 3:
        NAME_runs_of_ELEMENT(to, to_step, from, from_step, count, 3);
        return;
    case 4:
        NAME_runs_of_ELEMENT(to, to_step, from, from_step, count, 4);
        return;
    case 6:
        NAME_runs_of_ELEMENT(to, to_step, from, from_step, count, 6);
        return;
    case 8:
        NAME_runs_of_ELEMENT(to, to_step, from, from_step, count, 8);
        return;
    case 16:
        NAME_runs_of_ELEMENT(to, to_step, from, from_step, count, 16);
        return;
    default:
        NAME_runs_of_ELEMENT(to, to_step, from, from_step, count, run);
    }
}

static void NAME_zeros_ELEMENT(ELEMENT *to, int64_t to_step, int64_t count, int64_t run)
{
    for (int64_t k = 0; k < count; ++k)
        memset(to + k * to_step, 0, (size_t)run * sizeof *to);
}

/* Samples of one row from sample 0 at `place` on; those that are not inside are zeros, all of them where row is NULL. */
static inline void NAME_gather_ELEMENT(ELEMENT *restrict to, const ELEMENT *restrict row, int64_t place, int64_t period,
                                       NAME_range inside, int64_t count)
{
    if (row == NULL)
        inside = (NAME_range){0, 0};
    for (int64_t k = 0; k < inside.begin; ++k)
        to[k] = 0;
    if (period == 1)
        for (int64_t k = inside.begin; k < inside.end; ++k)
            to[k] = row[place + k];
    else if (period == 2)
        for (int64_t k = inside.begin; k < inside.end; ++k)
            to[k] = row[place + 2 * k];
    else
        for (int64_t k = inside.begin; k < inside.end; ++k)
            to[k] = row[place + period * k];
    for (int64_t k = inside.end; k < count; ++k)
        to[k] = 0;
}

/* The row of the tensor that samples (i, j) of phases p and t are in, at channel 0 or c; NULL outside. */
static const ELEMENT *NAME_row_ELEMENT(const NAME_copy *shape, const ELEMENT *x, int64_t image, int64_t c,
                                       const int64_t *p, const int64_t *t, int64_t i, int64_t j)
{
    const int64_t d = NAME_place(shape, 0, p[0], t[0]) + shape->period[0] * i;
    const int64_t h = NAME_place(shape, 1, p[1], t[1]) + shape->period[1] * j;
    if (d < 0 || d >= shape->size[0] || h < 0 || h >= shape->size[1])
        return NULL;
    if (shape->channels_first)
        return x + (((image * shape->stride + c) * shape->size[0] + d) * shape->size[1] + h) * shape->size[2];
    return x + ((image * shape->size[0] + d) * shape->size[1] + h) * shape->size[2] * shape->stride + c;
}

/* One row of the dense tensor from channels last: the phases of the width that follow each other are one run. */
static void NAME_row_last_ELEMENT(const NAME_copy *shape, const ELEMENT *x, ELEMENT *to, int64_t image,
                                  const int64_t *p, int64_t i, int64_t j)
{
    const int64_t channels = shape->channels, width = shape->core[2], step = NAME_core_channels(shape);
    const int64_t side = shape->tap_phases[2], period = shape->period[2], size = shape->size[2];
    const int follows = shape->tap_step[2] == 1 && shape->stride == channels;
    int64_t t[3];
    for (t[0] = 0; t[0] < shape->tap_phases[0]; ++t[0])
        for (t[1] = 0; t[1] < shape->tap_phases[1]; ++t[1]) {
            const ELEMENT *row = NAME_row_ELEMENT(shape, x, image, 0, p, t, i, j);
            ELEMENT *target = to + (t[0] * shape->tap_phases[1] + t[1]) * side * channels;
            if (row == NULL) {
                NAME_zeros_ELEMENT(target, step, width, side * channels);
                continue;
            }
            NAME_range whole = {0, 0};
            if (follows) {
                const NAME_range first = NAME_inside(NAME_place(shape, 2, p[2], 0), period, size, width);
                const NAME_range last = NAME_inside(NAME_place(shape, 2, p[2], side - 1), period, size, width);
                whole = (NAME_range){first.begin, NAME_max(last.end, first.begin)};
                const int64_t start = NAME_place(shape, 2, p[2], 0) + period * whole.begin;
                if (whole.end > whole.begin)
                    NAME_runs_ELEMENT(target + whole.begin * step, step, row + start * channels, period * channels,
                                      whole.end - whole.begin, side * channels);
            }
            for (t[2] = 0; t[2] < side; ++t[2]) {
                const int64_t place = NAME_place(shape, 2, p[2], t[2]);
                const NAME_range inside = NAME_inside(place, period, size, width);
                ELEMENT *own = target + t[2] * channels;
                for (int64_t k = 0; k < width; ++k) {
                    if (k == whole.begin && whole.end > whole.begin)
                        k = whole.end;
                    if (k >= width)
                        break;
                    if (k >= inside.begin && k < inside.end) {
                        const int64_t next = k < whole.begin ? whole.begin : width;
                        const int64_t count = NAME_min(inside.end, next) - k;
                        NAME_runs_ELEMENT(own + k * step, step, row + (place + period * k) * shape->stride,
                                          period * shape->stride, count, channels);
                        k += count - 1;
                    } else
                        memset(own + k * step, 0, (size_t)channels * sizeof *own);
                }
            }
        }
}

/* The rows of a plane of the dense tensor, both channels first. */
static void NAME_rows_first_ELEMENT(const NAME_copy *shape, const ELEMENT *x, ELEMENT *to, int64_t image, int64_t c,
                                    const int64_t *p, const int64_t *t, int64_t i)
{
    const int64_t place = NAME_place(shape, 2, p[2], t[2]), width = shape->core[2];
    const NAME_range inside = NAME_inside(place, shape->period[2], shape->size[2], width);
    for (int64_t j = 0; j < shape->core[1]; ++j)
        NAME_gather_ELEMENT(to + j * width, NAME_row_ELEMENT(shape, x, image, c, p, t, i, j), place, shape->period[2],
                            inside, width);
}

static void NAME_split_ELEMENT(const NAME_copy *shape, const ELEMENT *x, ELEMENT *core, int64_t threads)
{
    const int64_t channels = NAME_core_channels(shape), bytes = NAME_core_numbers(shape) * shape->element;
    const int64_t phases = NAME_volume(shape->output_phases), first = shape->channels_first;
    const int64_t images = shape->images * phases, height = first ? 1 : shape->core[1];
    const int64_t pieces = images * (first ? channels : 1) * shape->core[0] * height;
    const int64_t numbers = shape->core[2] * (first ? shape->core[1] : channels);
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(NAME_team(threads, bytes))
#endif
    for (int64_t piece = 0; piece < pieces; ++piece) {
        const int64_t j = piece % height, i = piece / height % shape->core[0], plane = piece / height / shape->core[0];
        const int64_t number = first ? plane / channels : plane, c = first ? plane % channels : 0;
        ELEMENT *to = core + piece * numbers;
        int64_t p[3], t[3];
        NAME_phases(number % phases, shape->output_phases, p);
        NAME_phases(c / shape->channels, shape->tap_phases, t);
        if (first)
            NAME_rows_first_ELEMENT(shape, x, to, number / phases, c % shape->channels, p, t, i);
        else
            NAME_row_last_ELEMENT(shape, x, to, number / phases, p, i, j);
    }
    (void)threads, (void)bytes;
}

/* One row of y from the rows of the dense tensor that are its phases along the width. */
static void NAME_join_row_ELEMENT(const NAME_copy *shape, const ELEMENT *from, int64_t part, ELEMENT *y, int64_t run,
                                  int64_t stride)
{
    const int64_t phases = shape->output_phases[2];
    for (int64_t p = 0; p < phases && p < shape->size[2]; ++p)
        NAME_runs_ELEMENT(y + p * stride, phases * stride, from + p * part, run, (shape->size[2] - 1 - p) / phases + 1,
                          run);
}

static void NAME_join_ELEMENT(const NAME_copy *shape, const ELEMENT *core, ELEMENT *y, int64_t threads)
{
    const int64_t first = shape->channels_first, channels = shape->channels, *phases = shape->output_phases;
    const int64_t bytes = NAME_core_numbers(shape) * shape->element, volume = NAME_volume(shape->core);
    const int64_t rows = shape->images * (first ? channels : 1) * shape->size[0] * shape->size[1];
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(NAME_team(threads, bytes))
#endif
    for (int64_t row = 0; row < rows; ++row) {
        const int64_t h = row % shape->size[1], d = row / shape->size[1] % shape->size[0];
        const int64_t plane = row / shape->size[1] / shape->size[0];
        const int64_t image = first ? plane / channels : plane, c = first ? plane % channels : 0;
        const int64_t number = ((image * phases[0] + d % phases[0]) * phases[1] + h % phases[1]) * phases[2];
        const int64_t inner = (d / phases[0] * shape->core[1] + h / phases[1]) * shape->core[2];
        if (first)
            NAME_join_row_ELEMENT(shape, core + (number * channels + c) * volume + inner, channels * volume,
                                  y + (((image * shape->stride + c) * shape->size[0] + d) * shape->size[1] + h) * shape->size[2],
                                  1, 1);
        else
            NAME_join_row_ELEMENT(shape, core + (number * volume + inner) * channels, channels * volume,
                                  y + row * shape->size[2] * shape->stride, channels, shape->stride);
    }
    (void)threads, (void)bytes;
}
