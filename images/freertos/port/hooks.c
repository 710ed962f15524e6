/* SPDX-License-Identifier: MIT */
/* The kernel's hooks. All are weak: a hook of the application replaces the one here. */
#include <FreeRTOS.h>
#include <task.h>

#include "cpu.h"
#include "guest.h"

#define WEAK __attribute__((weak))

/* FreeRTOS's headers declare only some of these. */
void vApplicationIdleHook(void);
void vApplicationMallocFailedHook(void);
void vApplicationStackOverflowHook(TaskHandle_t task, char *name);
void vApplicationGetIdleTaskMemory(StaticTask_t **task, StackType_t **stack, uint32_t *words);
void vApplicationGetTimerTaskMemory(StaticTask_t **task, StackType_t **stack, uint32_t *words);

/* Xen takes the vCPU away until an interrupt comes. */
WEAK void vApplicationIdleHook(void)
{
    wait_for_interrupt();
}

WEAK void vApplicationMallocFailedHook(void)
{
    guest_panic("out of heap: %u bytes free; configTOTAL_HEAP_SIZE sets how much there is",
                (unsigned int)xPortGetFreeHeapSize());
}

WEAK void vApplicationStackOverflowHook(TaskHandle_t task, char *name)
{
    (void)task;
    guest_panic("stack overflow in task \"%s\"", name);
}

WEAK void vApplicationGetIdleTaskMemory(StaticTask_t **task, StackType_t **stack, uint32_t *words)
{
    static StaticTask_t idle_task;
    static StackType_t idle_stack[configMINIMAL_STACK_SIZE] __attribute__((aligned(8)));

    *task = &idle_task;
    *stack = idle_stack;
    *words = configMINIMAL_STACK_SIZE;
}

WEAK void vApplicationGetTimerTaskMemory(StaticTask_t **task, StackType_t **stack, uint32_t *words)
{
    static StaticTask_t timer_task;
    static StackType_t timer_stack[configTIMER_TASK_STACK_DEPTH] __attribute__((aligned(8)));

    *task = &timer_task;
    *stack = timer_stack;
    *words = configTIMER_TASK_STACK_DEPTH;
}
