/* The packed filter U is [position][panel][channel][NAME_PANEL]. */
const char *NAME_filter(const NAME_stored *w, int64_t channels, int64_t outputs, NAME_real *u, int64_t threads)
{
    if (w == NULL || u == NULL)
        return "w and u must not be NULL";
    if (channels < 1 || outputs < 1)
        return "channels and outputs must be at least 1";
    if (NAME_filter_floats(channels, outputs) < 0)
        return "the packed filter is too large, channels * outputs must fit into memory";
    const int64_t panels = NAME_parts(outputs, NAME_PANEL), panel_floats = channels * NAME_PANEL;
    int failed = 0;
#ifdef _OPENMP
#pragma omp parallel reduction(| : failed) num_threads(NAME_team(threads))
#endif
    {
        double *buffer = malloc(sizeof(double) * NAME_POSITIONS * NAME_PANEL);
        failed = buffer == NULL;
#ifdef _OPENMP
#pragma omp for schedule(static)
#endif
        for (int64_t panel = 0; panel < panels; ++panel) {
            if (failed)
                continue;
            const int64_t lanes = NAME_min(NAME_PANEL, outputs - panel * NAME_PANEL);
            for (int64_t c = 0; c < channels; ++c)
                NAME_filter_panel(w + (panel * NAME_PANEL * channels + c) * NAME_TAPS, channels * NAME_TAPS, lanes,
                                  u + panel * panel_floats + c * NAME_PANEL, panels * panel_floats, buffer);
        }
        free(buffer);
    }
    (void)threads;
    return failed ? "no memory for the transform of a filter" : NULL;
}
