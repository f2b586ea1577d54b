int main(void)
{
    static const struct {
        const char *name;
        double (*check)(int64_t count);
    } cases[] = {CASES};
    static const int64_t counts[] = {1, NAME_WIDTH + 1, NAME_PANEL - 1, NAME_PANEL, 2 * NAME_PANEL + 3};
    int failed = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        double worst = 0;
        for (size_t j = 0; j < sizeof counts / sizeof *counts; ++j) {
            const double ratio = cases[i].check(counts[j]);
            if (ratio < 0) {
                fprintf(stderr, "self-test: out of memory\n");
                return 2;
            }
            worst = NAME_larger(worst, ratio);
        }
        printf("self-test of %s %s: largest error %.3g of the error allowed\n", cases[i].name,
               worst <= 1 ? "passed" : "FAILED", worst);
        failed |= !(worst <= 1);
    }
    return failed;
}
