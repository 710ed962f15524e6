/* SPDX-License-Identifier: MIT */
/* What the files of the port say to each other about tasks. */
#ifndef PORT_H
#define PORT_H

#include <stdint.h>

/* Who runs in this state of the CPU (cpu_state()): a task's name, or what runs instead of one. */
const char *port_who(uintptr_t state);

/* Where a task goes that returns. */
void port_task_returned(void) __attribute__((noreturn));

/* vectors.S */
void port_start_first_task(void) __attribute__((noreturn));

#endif
