/* SPDX-License-Identifier: MIT */
/* What the FreeRTOS kernel asks of a port. The switch itself is in vectors.S. */
#include "port.h"

#include <FreeRTOS.h>
#include <task.h>

#include "cpu.h"
#include "guest.h"
#include "timer.h"
#include "trace.h"

#if configSUPPORT_STATIC_ALLOCATION != 1
#error "the console's locks need configSUPPORT_STATIC_ALLOCATION 1"
#endif
#if defined(configNUMBER_OF_CORES) && configNUMBER_OF_CORES != 1
#error "this port runs on one vCPU: configNUMBER_OF_CORES must be 1"
#endif
#if INCLUDE_xTaskGetSchedulerState != 1 || INCLUDE_xTaskGetIdleTaskHandle != 1
#error "the console needs INCLUDE_xTaskGetSchedulerState and INCLUDE_xTaskGetIdleTaskHandle"
#endif

/* Bits of a new task's cpsr: SYS mode, FIQ masked, interrupts on. */
#define TASK_CPSR       0x5fu
#define CPSR_THUMB      0x20u

/* Not 0 until the first task runs, so that no kernel call in main() enables interrupts. */
volatile uint32_t port_critical_nesting = 1;
volatile uint32_t port_yield_pending;

static void task_returned(void)
{
    guest_panic("a task returned; it must end with vTaskDelete(NULL)");
}

/* The frame that restore_task expects, as if the task had been switched away before its first instruction. */
StackType_t *pxPortInitialiseStack(StackType_t *top, TaskFunction_t code, void *parameters)
{
    uint32_t entry = (uint32_t)code;
    int i;

    *--top = TASK_CPSR | (entry & 1 ? CPSR_THUMB : 0);
    *--top = entry & ~1u;
    *--top = (StackType_t)task_returned;
    for (i = 12; i > 0; i--)
        *--top = 0;
    *--top = (StackType_t)parameters;
    for (i = 0; i < 64; i++)            /* d0 to d31 */
        *--top = 0;
    *--top = 0;                         /* FPSCR */
    *--top = 0;                         /* critical nesting */
    return top;
}

BaseType_t xPortStartScheduler(void)
{
    timer_start();
    trace_start();
    port_start_first_task();
}

void vPortEndScheduler(void)
{
    guest_poweroff();
}

void port_enter_critical(void)
{
    irq_disable();
    port_critical_nesting++;
}

void port_exit_critical(void)
{
    configASSERT(port_critical_nesting > 0);
    if (--port_critical_nesting == 0)
        irq_enable();
}

UBaseType_t port_mask_from_isr(void)
{
    return irq_save();
}

void port_unmask_from_isr(UBaseType_t state)
{
    irq_restore(state != 0);
}

const char *port_who(uint32_t cpsr)
{
    if ((cpsr & CPSR_MODE) == MODE_IRQ)
        return "none, an interrupt handler";
    if (xTaskGetSchedulerState() == taskSCHEDULER_NOT_STARTED)
        return "none yet";
    return pcTaskGetName(NULL);
}
