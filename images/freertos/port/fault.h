/* SPDX-License-Identifier: MIT */
#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "guest.h"

/* Called on the way from vectors.S; changes the frame and returns if the fault was expected. */
void fault_handle(uint32_t kind, struct fault_frame *frame);

/* vectors.S */
int fault_guarded_call(void (*fn)(void *), void *arg, uintptr_t *saved_sp);
void fault_escape(void);
void fault_escape_to(uintptr_t sp) __attribute__((noreturn));

/* frame.c, for each width: pc, address and status of a fault whose kind is set. */
void frame_read(const struct fault_frame *frame, struct fault *fault);

/* The interrupted task goes on at `code`, with this stack pointer. */
void frame_go_on_at(struct fault_frame *frame, void (*code)(void), uintptr_t sp);

/* The registers, in whole lines. */
void frame_print(const struct fault_frame *frame);

/* What a status says, in words. */
const char *fault_reason(uint32_t status);
bool fault_was_write(uint32_t status);

#endif
