
/* SENTENCE */
const char *NAME_STAGE(const X_TYPE *x, int64_t x_stride, Y_TYPE *y, int64_t y_stride, int64_t count);
