/*
 * QEMU's main loop and its CPUs take turns.
 *
 * Under the virtual clock (-icount sleep=off) QEMU's main loop moves the time to the next timer
 * when all CPUs wait (icount_start_warp_timer in accel/tcg/icount-common.c). It may look at a CPU
 * between the moment when that halts and the moment when its last instructions are counted. Then
 * these come on top, and the timer is late by them. How often this happens depends on the host.
 *
 * This library is loaded before QEMU's own (LD_PRELOAD). After each wait for events, the main loop
 * waits here until the thread of the CPUs stands at a point where all instructions are counted:
 * it waits for work, or has just released QEMU's big lock, and stays there until the main loop
 * waits for events again. Nothing that a guest can see is different.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The thread that executes all CPUs (accel/tcg/tcg-accel-ops-rr.c). */
#define CPUS "ALL CPUs/TCG"
/* The versions that programs for x86-64 are linked with. */
#define COND_VERSION "GLIBC_2.3.2"

/* If the CPUs execute for this long and never release the lock, the main loop goes on. */
#define LONGEST_TURN 200000000L
/* If the main loop waits for the CPUs in another way than these, they go on after this time. */
#define LONGEST_PARK 1000000000L
#define LOOK 20000000L

static atomic_int executing; /* the CPUs may be anywhere */
static atomic_int wanted;    /* the main loop has its turn, or waits for it */
static _Atomic(pthread_mutex_t *) lock;
static clockid_t cpus_clock;
static _Thread_local int is_cpus = -1, is_main = -1, released;

static void *next(const char *name, const char *version)
{
    return version ? dlvsym(RTLD_NEXT, name, version) : dlsym(RTLD_NEXT, name);
}

static int in_cpus(void)
{
    char name[16] = "";

    if (is_cpus < 0) {
        pthread_getname_np(pthread_self(), name, sizeof name);
        is_cpus = !strcmp(name, CPUS);
        if (is_cpus && pthread_getcpuclockid(pthread_self(), &cpus_clock))
            is_cpus = 0;
    }
    return is_cpus;
}

static int in_main(void)
{
    if (is_main < 0)
        is_main = getpid() == gettid();
    return is_main;
}

static void set(atomic_int *word, int value)
{
    atomic_store(word, value);
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Wait until a word is 0, for as long as a clock goes on by less than `most` nanoseconds. */
static void wait_for_0(atomic_int *word, clockid_t clock, long most)
{
    struct timespec look = {0, LOOK}, first, now;

    if (!atomic_load(word) || clock_gettime(clock, &first))
        return;
    while (atomic_load(word)) {
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 1, &look, NULL, 0);
        if (clock_gettime(clock, &now))
            return;
        if ((now.tv_sec - first.tv_sec) * 1000000000L + now.tv_nsec - first.tv_nsec > most)
            return;
    }
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *most, const sigset_t *mask)
{
    static int (*real)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
    int found, error;

    if (!real)
        real = next("ppoll", NULL);
    if (!in_main() || !released)
        return real(fds, count, most, mask);
    set(&wanted, 0);
    found = real(fds, count, most, mask);
    error = errno;
    released = 0;
    atomic_store(&wanted, 1);
    wait_for_0(&executing, cpus_clock, LONGEST_TURN);
    errno = error;
    return found;
}

int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    static int (*real)(pthread_cond_t *, pthread_mutex_t *);
    int status;

    if (!real)
        real = next("pthread_cond_wait", COND_VERSION);
    if (in_main())
        set(&wanted, 0); /* it may wait for the CPUs */
    if (!in_cpus())
        return real(cond, mutex);
    if (!atomic_load(&lock))
        atomic_store(&lock, mutex);
    set(&executing, 0);
    status = real(cond, mutex);
    atomic_store(&executing, 1);
    return status;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    static int (*real)(pthread_mutex_t *);
    int status;

    if (!real)
        real = next("pthread_mutex_unlock", NULL);
    status = real(mutex);
    if (mutex != atomic_load(&lock))
        return status;
    if (in_main()) {
        released = 1;
    } else if (in_cpus() && atomic_load(&wanted)) {
        set(&executing, 0);
        wait_for_0(&wanted, CLOCK_MONOTONIC, LONGEST_PARK);
        atomic_store(&executing, 1);
    }
    return status;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    static int (*real)(pthread_mutex_t *);

    if (!real)
        real = next("pthread_mutex_lock", NULL);
    if (mutex == atomic_load(&lock) && in_main())
        released = 0;
    return real(mutex);
}
