/* Copies between a tensor and the dense tensors that are the phases of its samples or outputs.

   Tensors are [image][depth][height][width][channel] or, with channels first, [image][channel][depth][height][width].
   Sample i of phases p and t of an axis is the tensor's sample period * i + output_step * p + tap_step * t - low, a zero
   where there is none; channels of the dense tensor are those of phase t = 0, then those of the next, the last axis
   fastest, and so are its images. */
#if !defined(__GNUC__) || !defined(__STDC_VERSION__) || __STDC_VERSION__ < 201112L
#error "this file needs GCC or Clang and C11 (-std=c11)"
#endif
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

typedef struct {
    int64_t element; /* bytes of a number: 2, 4 or 8 */
    int64_t images, channels; /* of the tensor that are copied, each at least 1 */
    int64_t stride; /* channels that an image of the tensor has, at least as many */
    int64_t size[3]; /* of the tensor along depth, height and width */
    int64_t core[3]; /* of the dense tensor */
    int64_t low[3], period[3], output_step[3], tap_step[3]; /* where samples are; for outputs, unused */
    int64_t output_phases[3], tap_phases[3]; /* numbers of p and t; for outputs there is one t */
    int64_t channels_first; /* of both tensors, 1 or 0 */
} NAME_copy;

#define NAME_LARGEST (PTRDIFF_MAX / 16)

static int64_t NAME_times(int64_t a, int64_t b)
{
    int64_t product;
    return a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product) || product > NAME_LARGEST ? -1 : product;
}

static int64_t NAME_volume(const int64_t *sizes)
{
    return NAME_times(sizes[0], NAME_times(sizes[1], sizes[2]));
}

static int64_t NAME_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t NAME_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

#ifdef _OPENMP
/* Threads of a team: no more than there are processors, or than OpenMP was told to use, and few for few bytes. */
static int NAME_team(int64_t threads, int64_t bytes)
{
    const int64_t most = NAME_max(omp_get_num_procs(), omp_get_max_threads());
    return (int)NAME_max(NAME_min(NAME_min(threads, most), bytes >> 14), 1);
}
#endif

static int64_t NAME_core_channels(const NAME_copy *shape)
{
    return NAME_times(shape->channels, NAME_volume(shape->tap_phases));
}

static int64_t NAME_core_numbers(const NAME_copy *shape)
{
    const int64_t images = NAME_times(shape->images, NAME_volume(shape->output_phases));
    return NAME_times(NAME_times(images, NAME_core_channels(shape)), NAME_volume(shape->core));
}

/* NULL, or what is wrong with a shape. */
static const char *NAME_wrong(const NAME_copy *shape)
{
    if (shape->element != 2 && shape->element != 4 && shape->element != 8)
        return "element is not 2, 4 or 8";
    if (shape->images < 1 || shape->channels < 1 || shape->stride < shape->channels)
        return "images and channels must be at least 1, stride at least channels";
    for (int axis = 0; axis < 3; ++axis) {
        if (shape->size[axis] < 1 || shape->core[axis] < 1 || shape->output_phases[axis] < 1 || shape->tap_phases[axis] < 1)
            return "size, core, output_phases and tap_phases must be at least 1";
        const int64_t steps[] = {shape->period[axis], shape->output_step[axis], shape->tap_step[axis], shape->low[axis]};
        const int64_t counts[] = {shape->core[axis], shape->output_phases[axis], shape->tap_phases[axis], 1};
        for (int step = 0; step < 4; ++step)
            if (steps[step] < 0 || NAME_times(steps[step], counts[step]) < 0)
                return "low, period, output_step and tap_step must be at least 0, and places fit into memory";
    }
    if (NAME_times(NAME_times(shape->images, shape->stride), NAME_volume(shape->size)) < 0)
        return "the tensor is too large, images * stride * size must fit into memory";
    return NAME_core_numbers(shape) < 0 ? "the dense tensor is too large, it must fit into memory" : NULL;
}

/* The place of sample 0 of phases p and t. */
static int64_t NAME_place(const NAME_copy *shape, int axis, int64_t p, int64_t t)
{
    return shape->output_step[axis] * p + shape->tap_step[axis] * t - shape->low[axis];
}

/* Which samples i of 0 ... count - 1 are not zeros: those from begin on, up to end. */
typedef struct {
    int64_t begin, end;
} NAME_range;

static int64_t NAME_parts(int64_t a, int64_t size)
{
    return size == 1 ? a : size == 2 ? (a + 1) >> 1 : (a + size - 1) / size; /* divisions take long */
}

static NAME_range NAME_inside(int64_t place, int64_t period, int64_t size, int64_t count)
{
    const int64_t begin = place >= 0 ? 0 : NAME_parts(-place, period);
    const int64_t last = place >= size ? 0 : NAME_min(NAME_parts(size - place, period), count);
    return (NAME_range){NAME_min(begin, last), last};
}

/* The phases of a number, the last axis fastest. */
static void NAME_phases(int64_t number, const int64_t *phases, int64_t *each)
{
    for (int axis = 2; axis >= 0; --axis) {
        each[axis] = number % phases[axis];
        number /= phases[axis];
    }
}
