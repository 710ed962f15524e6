/* SPDX-License-Identifier: MIT */
#ifndef FAULT_H
#define FAULT_H

#include <stdint.h>

/* As vectors.S pushes it. */
struct fault_frame {
    uint32_t cpsr, sp, lr, r[13], pc;
};

/* Called by vectors.S; changes the frame and returns if the fault was expected. */
void fault_handle(uint32_t kind, struct fault_frame *frame);

/* vectors.S */
int fault_guarded_call(void (*fn)(void *), void *arg, uint32_t *saved_sp);
void fault_escape(void);
void fault_escape_to(uint32_t sp) __attribute__((noreturn));

#endif
