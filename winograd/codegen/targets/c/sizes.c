#ifdef _OPENMP
#include <omp.h>
#endif

/* Sizes. A size is a number from 0 to NAME_LARGEST, the bytes of which still fit into an address; what is larger, and
   what is computed from it, is -1. */
#define NAME_LARGEST (PTRDIFF_MAX / 16)

static int64_t NAME_plus(int64_t a, int64_t b)
{
    int64_t sum;
    return a < 0 || b < 0 || __builtin_add_overflow(a, b, &sum) || sum > NAME_LARGEST ? -1 : sum;
}

static int64_t NAME_times(int64_t a, int64_t b)
{
    int64_t product;
    return a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product) || product > NAME_LARGEST ? -1 : product;
}

/* How many parts of a size hold a. */
static int64_t NAME_parts(int64_t a, int64_t size)
{
    return a < 0 ? -1 : a / size + (a % size > 0);
}

/* The size of the largest of parts of nearly equal size, at most `most`, of a total of at least 1. */
static int64_t NAME_even_part(int64_t total, int64_t most)
{
    return NAME_parts(total, NAME_parts(total, most));
}

enum {
    /* One cache line between positions keeps equal strides of 4 KiB, which would share a cache set, from happening. */
    NAME_PAD = 64 / (int)sizeof(NAME_real),
    /* Numbers in the vectors of a tile, in whole cache lines. */
    NAME_BUFFER = (NAME_POSITIONS * NAME_WIDTH + NAME_PAD - 1) / NAME_PAD * NAME_PAD,
    /* Numbers that take the space of the addresses of a tile's inputs. */
    NAME_POINTERS = NAME_INPUTS * (int)sizeof(NAME_stored *) / (int)sizeof(NAME_real),
    NAME_ADDRESSES = (NAME_POINTERS + NAME_PAD - 1) / NAME_PAD * NAME_PAD,
    /* Threads and tiles that are more count as this many. */
    NAME_MOST_THREADS = 1024,
    NAME_MOST_TILES = 1 << 30
};

static const int64_t NAME_outputs_of_tile[3] = {NAME_M0, NAME_M1, NAME_M2};
static const int64_t NAME_taps[3] = {NAME_R0, NAME_R1, NAME_R2};

static int64_t NAME_padded(const NAME_shape *shape, int axis)
{
    return NAME_plus(NAME_plus(shape->size[axis], shape->low[axis]), shape->high[axis]);
}

static int64_t NAME_product_of_sizes(int64_t first, const int64_t size[3], int64_t last)
{
    return NAME_times(NAME_times(NAME_times(NAME_times(first, size[0]), size[1]), size[2]), last);
}

/* NULL, or what is wrong with a shape before its sizes are multiplied. */
static const char *NAME_wrong_shape(const NAME_shape *shape)
{
    if (shape == NULL)
        return "shape is NULL, must be the address of a shape";
    if (shape->batch < 1 || shape->channels < 1 || shape->outputs < 1)
        return "batch, channels and outputs must be at least 1";
    if (shape->block < 0)
        return "block must be at least 0";
    if (shape->x_channels_first >> 1 || shape->y_channels_first >> 1)
        return "x_channels_first and y_channels_first must be 0 or 1";
    for (int axis = 0; axis < 3; ++axis) {
        if (shape->size[axis] < 1)
            return "size must be at least 1 on every axis";
        if (shape->low[axis] < 0 || shape->high[axis] < 0)
            return "low and high must be at least 0 on every axis";
        if (NAME_padded(shape, axis) < 0)
            return "size + low + high is too large on an axis, must fit into memory";
        if (NAME_padded(shape, axis) < NAME_taps[axis])
            return "size + low + high is smaller than the filter on an axis";
    }
    return NULL;
}

static int64_t NAME_threads(int64_t threads)
{
    return NAME_max(NAME_min(threads, NAME_MOST_THREADS), 1);
}

static int64_t NAME_whole_lines(int64_t numbers)
{
    return NAME_times(NAME_parts(numbers, NAME_PAD), NAME_PAD);
}

#ifdef _OPENMP
/* Threads of a team: no more than there are processors, or than OpenMP was told to use. */
static int NAME_team(int64_t threads)
{
    return (int)NAME_min(NAME_threads(threads), NAME_max(omp_get_num_procs(), omp_get_max_threads()));
}
#endif
