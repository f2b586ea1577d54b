/* The largest error of NAME_STAGE on `count` tiles over the error allowed; infinite where it refuses them, takes wrong
   arguments, or writes beyond the tiles; -1 without memory. */
static double NAME_check_STAGE(int64_t count)
{
    const NAME_matrices *m = &NAME_STAGE_matrices;
    const int64_t inputs = NAME_volume(m->columns), outputs = NAME_volume(m->rows);
    const int64_t x_stride = count + 3, y_stride = count + 1;
    X_TYPE *x = malloc((size_t)(inputs * x_stride) * sizeof(X_TYPE));
    Y_TYPE *y = malloc((size_t)(outputs * y_stride) * sizeof(Y_TYPE));
    double *tile = malloc(3 * (size_t)NAME_largest_volume(m) * sizeof(double));
    double ratio = -1;
    if (x && y && tile) {
        for (int64_t i = 0; i < inputs * x_stride; ++i)
            x[i] = X_NARROW(NAME_random_integer() * (NAME_real)m->scale);
        for (int64_t i = 0; i < outputs * y_stride; ++i)
            y[i] = Y_NARROW(77);
        const int refuses = NAME_STAGE(NULL, x_stride, y, y_stride, count) &&
                            NAME_STAGE(x, x_stride, NULL, y_stride, count) &&
                            NAME_STAGE(x, count - 1, y, y_stride, count) &&
                            NAME_STAGE(x, x_stride, y, count - 1, count) && NAME_STAGE(x, x_stride, y, y_stride, -1) &&
                            NAME_STAGE(x, INT64_MAX, y, y_stride, count);
        ratio = refuses && !NAME_STAGE(x, x_stride, y, y_stride, count) ? 0 : INFINITY;
        for (int64_t t = 0; t < y_stride; ++t) {
            for (int64_t e = 0; t < count && e < inputs; ++e)
                tile[e] = X_WIDEN(x[e * x_stride + t]);
            const double *exact = t < count ? NAME_multiplied(m, tile) : NULL;
            for (int64_t e = 0; e < outputs; ++e) {
                const double output = Y_WIDEN(y[e * y_stride + t]), untouched = output == 77 ? 0 : INFINITY;
                ratio = NAME_larger(ratio, exact ? NAME_ratio(m, e, exact[e], output) : untouched);
            }
        }
    }
    free(x), free(y), free(tile);
    return ratio;
}
