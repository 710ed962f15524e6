"""Makes a kernel that looks to a port like V10 and V11, from Debian's V9.

No package has V10 or V11. So this takes the packaged kernel and adds what later kernels were read
to have and V9 lacks, as far as a port or an application can notice it. The result is no V11. It
shows that the port respects the declarations, configuration checks and calls that are named here,
and says nothing about the rest of those kernels.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import NamedTuple

#: How it names itself.
VERSION = "V9 in the clothes of V11"


class Change(NamedTuple):
    """A replacement in a file, as :func:`re.sub` makes it. The text must be there."""

    file: str
    old: str
    new: str


CHECKS = r"""\g<0>
#if defined(INCLUDE_vTaskDelayUntil) && defined(INCLUDE_xTaskDelayUntil)
#error "one of them, not both (since V10.4.2)"
#endif
#ifndef INCLUDE_xTaskDelayUntil
#define INCLUDE_xTaskDelayUntil INCLUDE_vTaskDelayUntil
#endif
#if defined(configUSE_16_BIT_TICKS) && defined(configTICK_TYPE_WIDTH_IN_BITS)
#error "one of them, not both (V10.6)"
#endif
#if !defined(configUSE_16_BIT_TICKS) && !defined(configTICK_TYPE_WIDTH_IN_BITS)
#error "one of them (V10.6)"
#endif
#ifndef configNUMBER_OF_CORES
#define configNUMBER_OF_CORES 1
#endif
#ifndef configINITIAL_TICK_COUNT
#define configINITIAL_TICK_COUNT 0
#endif
"""

#: Before the end of task.h and timers.h. In V11 headers declare what applications define.
TASK_H = r"""
void vApplicationIdleHook(void);
void vApplicationTickHook(void);
void vApplicationStackOverflowHook(TaskHandle_t task, char *name);
void vApplicationGetIdleTaskMemory(StaticTask_t **, StackType_t **, configSTACK_DEPTH_TYPE *);
#define vTaskDelayUntil(from, ticks) { (void)xTaskDelayUntil(from, ticks); }
\g<0>"""
TIMERS_H = r"""
void vApplicationGetTimerTaskMemory(StaticTask_t **, StackType_t **, configSTACK_DEPTH_TYPE *);
\g<0>"""

END = r"#ifdef __cplusplus\n}"
CHANGES = (
    Change("include/task.h", r'"V9\.0\.0"', f'"{VERSION}"'),
    Change("include/task.h", r"(VERSION_MAJOR) 9", r"\1 11"),
    Change("include/FreeRTOS.h", r'#include "FreeRTOSConfig\.h"', CHECKS),
    # Handles are pointers to structures of their own, no longer void *.
    Change("include/task.h", r"void \* (TaskHandle_t)", r"struct tskTaskControlBlock *\1"),
    Change("include/queue.h", r"void \* (Queue\w*Handle_t)", r"struct QueueDefinition *\1"),
    Change("include/timers.h", r"void \* (TimerHandle_t)", r"struct tmrTimerControl *\1"),
    Change("include/event_groups.h", r"void \* (\w+_t)", r"struct xEventGroupDefinition *\1"),
    # The depth of a stack has a type of its own.
    Change("include/task.h", r"uint16_t( usStackDepth)", r"configSTACK_DEPTH_TYPE\1"),
    Change("tasks.c", r"uint16_t( usStackDepth)", r"configSTACK_DEPTH_TYPE\1"),
    # vTaskDelayUntil is a macro, and not an expression.
    Change("include/task.h", r"(?m)^void v(TaskDelayUntil\()", r"BaseType_t x\1"),
    Change("tasks.c", r"void v(TaskDelayUntil\()", r"BaseType_t x\1"),
    Change("tasks.c", r"(?m)^(#if.*INCLUDE_)v(TaskDelayUntil)", r"\1x\2"),
    Change("include/task.h", END, TASK_H),
    Change("include/timers.h", END, TIMERS_H),
    # Trace macros of notifications have an argument; the first switch is traced as well.
    Change("include/FreeRTOS.h", r"(#define traceTASK_NOTIFY\w*)\(\)", r"\1( index )"),
    Change("tasks.c", r"(traceTASK_NOTIFY\w*)\(\)", r"\1( 0 )"),
    Change("tasks.c", r"if\( (xPortStartScheduler)", r"traceTASK_SWITCHED_IN(); if( \1"),
    # Ticks that are pended forbid to sleep. A stack pointer beyond the stack is an overflow.
    Change("tasks.c", r"else if(\( )xYieldPending( != pdFALSE \)\s*\{\s*/\* A yield was pended)",
           r"else if\1xYieldPending || uxPendedTicks\2"),
    Change("tasks.c", r"StackMacros\.h", "stack_macros.h"),
    Change("include/stack_macros.h", r"\( pulStack\[ 0 \]",
           r"( pxCurrentTCB->pxTopOfStack <= pxCurrentTCB->pxStack ) || \g<0>"),
)  # fmt: skip


def as_later(packaged: Path, into: Path) -> Path:
    """Write the packaged kernel with these changes into ``into``, and return that."""
    shutil.copytree(packaged, into)
    (into / "include/StackMacros.h").rename(into / "include/stack_macros.h")
    for file, old, new in CHANGES:
        path = into / file
        text, found = re.subn(old, new, path.read_text())
        assert found, f"no {old!r} in {file}: is it still V9?"
        path.write_text(text)
    return into
