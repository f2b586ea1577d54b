/* Random integers from -4 to 4, whose variance is 20 / 3; the same in every run. */
#include <math.h>
#include <stdio.h>

static uint64_t NAME_state = 1;

static NAME_real NAME_random_integer(void)
{
    NAME_state = NAME_state * 6364136223846793005u + 1442695040888963407u;
    return (NAME_real)((int64_t)(NAME_state >> 33) % 9 - 4);
}
