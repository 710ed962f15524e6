/* SPDX-License-Identifier: MIT */
/* What the FreeRTOS kernel asks of a port. The switch itself is in vectors.S, a task's first frame in frame.c. */
#include "port.h"

#include <FreeRTOS.h>
#include <task.h>

#include "guest.h"
#include "irq.h"
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

/* Not 0 until the first task runs, so that no kernel call in main() enables interrupts. */
volatile uint32_t port_critical_nesting = 1;
volatile uint32_t port_yield_pending;

void port_task_returned(void)
{
    guest_panic("a task returned; it must end with vTaskDelete(NULL)");
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

const char *port_who(uintptr_t state)
{
    if (state_is_interrupt(state))
        return "none, an interrupt handler";
    if (xTaskGetSchedulerState() == taskSCHEDULER_NOT_STARTED)
        return "none yet";
    return pcTaskGetName(NULL);
}
