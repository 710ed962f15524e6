/* SPDX-License-Identifier: MIT */
/* What the files of the port say to each other about tasks. */
#ifndef PORT_H
#define PORT_H

#include <stdbool.h>

/* Who is running: a task's name, or in brackets what runs instead of one. */
const char *port_task_name(void);

/* vectors.S */
void port_start_first_task(void) __attribute__((noreturn));

#endif
