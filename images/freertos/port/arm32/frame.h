/* SPDX-License-Identifier: MIT */
#ifndef FRAME_H
#define FRAME_H

#include <stdint.h>

/* What a fault interrupted, as vectors.S pushes it. */
struct fault_frame {
    uint32_t cpsr, sp, lr, r[13], pc;
};

static inline uintptr_t frame_state(const struct fault_frame *frame)
{
    return frame->cpsr;
}

#endif
