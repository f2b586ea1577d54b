/* Windows of CAPTION where channels come first: those of a run along the width, whose rows fill two vectors, the width of
   such a row, and numbers of all rows of the run. */
enum {
    NAME_UPPER_RUN = 2 * (int)NAME_WIDTH < NAME_EXTENT2 ? 1 : (2 * NAME_WIDTH - NAME_EXTENT2) / NAME_M2 + 1,
    NAME_UPPER_ROW = (NAME_UPPER_RUN - 1) * NAME_M2 + NAME_EXTENT2,
    NAME_UPPER_GATHERED = NAME_EXTENT0 * NAME_EXTENT1 * NAME_UPPER_ROW * NAME_WIDTH
};
