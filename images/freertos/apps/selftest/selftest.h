/* SPDX-License-Identifier: MIT */
#ifndef SELFTEST_H
#define SELFTEST_H

/* A check returns null if all was right, otherwise what was not. */
typedef const char *(*check_fn)(void);

struct check {
    const char *name;
    check_fn run;
};

#define TEXT_OF(x)      #x
#define LINE_TEXT(x)    TEXT_OF(x)
#define EXPECT(condition)                                                                   \
    do {                                                                                    \
        if (!(condition))                                                                   \
            return "not true: " #condition " (" __FILE__ ":" LINE_TEXT(__LINE__) ")";       \
    } while (0)

/* Sleeps until the condition holds, or for a second: a busy host may run helpers late. */
#define WAIT_FOR(condition)                                                                 \
    do {                                                                                    \
        for (int tries = 0; tries < 200 && !(condition); tries++)                           \
            vTaskDelay(5);                                                                  \
    } while (0)

/* How long a check waits for what must come. */
enum { LONG = 1000 };

/* The task that runs the checks has this priority; helpers are above or below it. */
enum { LOW = 1, RUNNER = 3, MEDIUM = 4, HIGH = 5 };

/* Each ends with an entry without a name. */
extern const struct check kernel_checks[], time_checks[], port_checks[];

#endif
