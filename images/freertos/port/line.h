/* SPDX-License-Identifier: MIT */
/* What a console's bytes go through: the PV ring (ring.c) or Xen's PL011 (vpl011.c). */
#ifndef LINE_H
#define LINE_H

#include <stdbool.h>
#include <stddef.h>

struct line {
    const char *name;
    /* Writes what finds room and returns how much that was. Not safe against itself. */
    size_t (*put)(const char *text, size_t length);
    /* Reads one byte; false if there is none. */
    bool (*get)(char *byte);
    /* True when the other end has read everything. */
    bool (*drained)(void);
    /* Tells the other end that there is something to read, or room again. */
    void (*notify)(void);
};

#endif
