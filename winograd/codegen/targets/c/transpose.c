/* The numbers of two vectors in turn, from lane `first` of each on. */
NAME_INLINE NAME_vector NAME_in_turn(NAME_vector a, NAME_vector b, const int first)
{
#if defined(__clang__)
    NAME_vector both = a;
    for (int lane = 0; lane < NAME_WIDTH; ++lane)
        both[lane] = lane % 2 ? b[first + lane / 2] : a[first + lane / 2];
    return both;
#else
    NAME_mask lanes;
    for (int lane = 0; lane < NAME_WIDTH; ++lane)
        lanes[lane] = first + lane / 2 + lane % 2 * NAME_WIDTH;
    return __builtin_shuffle(a, b, lanes);
#endif
}

/* Lane i of row j becomes lane j of row i. */
NAME_INLINE void NAME_transpose(NAME_vector rows[NAME_WIDTH])
{
    for (int step = 1; step < NAME_WIDTH; step *= 2) {
        NAME_vector mixed[NAME_WIDTH];
        for (int i = 0; i < NAME_WIDTH / 2; ++i) {
            mixed[2 * i] = NAME_in_turn(rows[i], rows[i + NAME_WIDTH / 2], 0);
            mixed[2 * i + 1] = NAME_in_turn(rows[i], rows[i + NAME_WIDTH / 2], NAME_WIDTH / 2);
        }
        for (int i = 0; i < NAME_WIDTH; ++i)
            rows[i] = mixed[i];
    }
}
