/* SPDX-License-Identifier: MIT */
/* What the files of the port say to each other about tasks. */
#ifndef PORT_H
#define PORT_H

#include <stdint.h>

/* Who runs under this cpsr: a task's name, or what runs instead of one. */
const char *port_who(uint32_t cpsr);

/* vectors.S */
void port_start_first_task(void) __attribute__((noreturn));

#endif
