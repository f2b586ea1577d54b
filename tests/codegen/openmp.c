/* As much of OpenMP as the kernels use, by mutexes and conditions of POSIX threads, which GCC's sanitizer of threads
   understands; the barriers of its own OpenMP are in a library that it cannot look into. */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static int team = 1, waiting, turns;
static long loops;
/* Loops by their number: threads that do not wait at the end of one may be in the next. */
static struct {
    long from, to, step, chunk;
} rest[8];

static _Thread_local int number;
static _Thread_local long loops_seen;

typedef struct {
    void (*function)(void *);
    void *data;
    int number;
} start;

int omp_get_thread_num(void)
{
    return number;
}

int omp_get_num_threads(void)
{
    return team;
}

int omp_get_max_threads(void)
{
    return 4;
}

int omp_get_num_procs(void)
{
    return 4;
}

void GOMP_barrier(void)
{
    pthread_mutex_lock(&mutex);
    const int turn = turns;
    if (++waiting == team) {
        waiting = 0;
        ++turns;
        pthread_cond_broadcast(&turned);
    }
    while (turn == turns)
        pthread_cond_wait(&turned, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void *run_thread(void *argument)
{
    const start *one = argument;
    number = one->number;
    loops_seen = 0;
    one->function(one->data);
    return NULL;
}

void GOMP_parallel(void (*function)(void *), void *data, unsigned threads, unsigned flags)
{
    (void)flags;
    pthread_t others[64];
    start starts[64];
    team = (int)(threads > 64 ? 64 : threads);
    loops = loops_seen = 0;
    for (int i = 1; i < team; ++i) {
        starts[i] = (start){function, data, i};
        pthread_create(&others[i], NULL, run_thread, &starts[i]);
    }
    function(data);
    for (int i = 1; i < team; ++i)
        pthread_join(others[i], NULL);
    team = 1;
}

static bool take(long *first, long *end)
{
    const long at = (loops_seen - 1) % 8, next = rest[at].from + rest[at].step * rest[at].chunk;
    const bool some = rest[at].from < rest[at].to;
    *first = rest[at].from;
    rest[at].from = *end = next > rest[at].to ? rest[at].to : next;
    return some;
}

bool GOMP_loop_nonmonotonic_dynamic_next(long *first, long *end)
{
    pthread_mutex_lock(&mutex);
    const bool some = take(first, end);
    pthread_mutex_unlock(&mutex);
    return some;
}

bool GOMP_loop_nonmonotonic_dynamic_start(long begin, long last, long by, long chunk, long *first, long *end)
{
    pthread_mutex_lock(&mutex);
    if (loops_seen++ == loops) {
        rest[loops % 8].from = begin, rest[loops % 8].to = last;
        rest[loops % 8].step = by, rest[loops % 8].chunk = chunk;
        ++loops;
    }
    const bool some = take(first, end);
    pthread_mutex_unlock(&mutex);
    return some;
}

void GOMP_loop_end(void)
{
    GOMP_barrier();
}

void GOMP_loop_end_nowait(void)
{
}
