/* SPDX-License-Identifier: MIT */
/* What the port offers to applications besides FreeRTOS itself. */
#ifndef GUEST_H
#define GUEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Output. One call is never mixed with another's, so print whole lines. Knows
 * %d %i %u %x %X %p %c %s %%, the lengths l, ll and z, a width, a leading 0 and
 * a leading -. A task waits while the console is full; an interrupt handler or
 * a critical section never waits (what does not fit is counted and reported).
 */
int printk(const char *format, ...) __attribute__((format(printf, 1, 2)));
int vprintk(const char *format, va_list args);
int snprintk(char *buffer, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * Input. Waits for a line typed on the console and echoes it; returns its
 * length. For one task at a time.
 */
size_t console_read_line(char *line, size_t size);

/* The virtual counter (what the tick runs on), its physical twin, and their frequency. */
uint64_t counter_now(void);
uint64_t counter_physical(void);
uint32_t counter_hz(void);

/* Where tick n of the kernel lies, as a value of counter_physical(). */
uint64_t counter_of_tick(uint32_t tick);

/* The `cmdline` or `extra` of the domain's configuration; empty if there is none. */
const char *guest_cmdline(void);

/* Waits until the console is read (two seconds at most), then ends the domain. */
void guest_poweroff(void) __attribute__((noreturn));
void guest_crash(void) __attribute__((noreturn));

/* Prints why, then ends the domain as crashed. */
void guest_panic(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* What a caught fault was. */
enum fault_kind { FAULT_NONE = -1, FAULT_UNDEFINED, FAULT_PREFETCH, FAULT_DATA, FAULT_ASSERT, FAULT_OTHER };

struct fault {
    enum fault_kind kind;
    uintptr_t pc;               /* 0 for an assertion */
    uintptr_t address;          /* what could not be read, written or executed */
    uint32_t status;            /* DFSR or IFSR; ESR_EL1 of a 64-bit guest */
    const char *file;           /* of an assertion */
    int line;
};

/*
 * Calls fn(arg). A fault or failed configASSERT of this task inside it ends the
 * call instead of the guest: then true, and *fault says what it was. Locks and
 * critical sections taken by fn are not released; for tests. Not nested.
 */
bool fault_catch(struct fault *fault, void (*fn)(void *), void *arg);

#endif
