/* A tensor that is cut into windows, one per tile: all that a transform reads for the tile. */
typedef struct {
    const NAME_stored *values, *zeros;
    int64_t channels, columns; /* channels to read and to write for every tile; the columns beyond them are zeros */
    int64_t size[3]; /* places along every axis */
    int64_t low[3]; /* places of the first window before the first one of the tensor */
    int64_t tiles[3]; /* windows along every axis */
    int64_t channels_first, run; /* 1 or 0; where they do, windows of a run along the width */
    int64_t stride; /* numbers between positions of what is written */
} NAME_windows;

/* What a thread has of its own. */
typedef struct {
    NAME_vector *buffer;
    const NAME_stored **source;
    NAME_vector *rows; /* of a run of tiles, where channels come first */
} NAME_scratch;

static NAME_scratch NAME_scratch_at(NAME_real *own)
{
    return (NAME_scratch){(NAME_vector *)(void *)own, (const NAME_stored **)(void *)(own + NAME_BUFFER),
                          (NAME_vector *)(void *)(own + NAME_BUFFER + NAME_ADDRESSES)};
}

/* The index of a tile, the last axis fastest. */
static void NAME_tile_index(const int64_t axis_tiles[3], int64_t tile, int64_t *image, int64_t index[3])
{
    for (int axis = 2; axis >= 0; --axis) {
        index[axis] = tile % axis_tiles[axis];
        tile /= axis_tiles[axis];
    }
    *image = tile;
}

/* Where channels come first: a vector holds channels, memory has neighbours along the width side by side, and rows of
   NAME_WIDTH channels are transposed on the way. That is done for a run of neighbouring tiles along the width at a time,
   the first of which does the work of all, so that rows are long and read once. */

/* Tiles of a run that begins with tile number t of a block, `along` tiles being along the width; 0 where the tile belongs
   to a run that began before. */
static int64_t NAME_run(int64_t along, int64_t held, int64_t t, int64_t index, int64_t most)
{
    if (t > 0 && index % most)
        return 0;
    return NAME_min(NAME_min(most - index % most, along - index), held - t);
}

/* Reads `count` neighbours along the width of `lanes` channels; writes them one after the other, channels side by side. */
NAME_INLINE void NAME_gather(const NAME_stored *x, int64_t stride, int64_t lanes, int64_t count, NAME_stored *row)
{
    NAME_vector rows[NAME_WIDTH];
    for (int lane = 0; lane < NAME_WIDTH; ++lane)
        rows[lane] = lane < lanes ? NAME_read(x + lane * stride, count) : (NAME_vector){0};
    NAME_transpose(rows);
    for (int k = 0; k < NAME_WIDTH; ++k)
        if (k < count)
            NAME_narrow_exactly(row + k * NAME_WIDTH, rows[k]);
}

/* The same for any count: by whole vectors, the last of which may overlap the one before it. */
NAME_INLINE void NAME_gather_row(const NAME_stored *x, int64_t stride, int64_t lanes, int64_t count, NAME_stored *row)
{
    const int64_t last = count - NAME_WIDTH;
    if (last < 0)
        NAME_gather(x, stride, lanes, NAME_min(count, NAME_WIDTH), row);
    for (int64_t k = 0; k <= last; k = k == last ? count : NAME_min(k + NAME_WIDTH, last))
        NAME_gather(x + k, stride, lanes, NAME_WIDTH, row + k * NAME_WIDTH);
}
