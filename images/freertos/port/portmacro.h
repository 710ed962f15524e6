/* SPDX-License-Identifier: MIT */
/* The port as the FreeRTOS kernel sees it; written for V9, V10 and V11. */
#ifndef PORTMACRO_H
#define PORTMACRO_H

#include <stdint.h>

#include "portarch.h"

#ifdef __cplusplus
extern "C" {
#endif

#define portCHAR        char
#define portFLOAT       float
#define portDOUBLE      double
#define portLONG        long
#define portSHORT       short
#define portBASE_TYPE   long

typedef portSTACK_TYPE StackType_t;
typedef long BaseType_t;
typedef unsigned long UBaseType_t;
typedef uint32_t TickType_t;

#define portMAX_DELAY               ((TickType_t)0xffffffffUL)
#define portTICK_TYPE_IS_ATOMIC     1
#define portTICK_PERIOD_MS          ((TickType_t)1000 / configTICK_RATE_HZ)
#define portSTACK_GROWTH            (-1)
#define portNOP()                   __asm__ volatile("nop")
#define portMEMORY_BARRIER()        __asm__ volatile("" ::: "memory")
#define portINLINE                  __inline
#define portFORCE_INLINE            inline __attribute__((always_inline))

#define portTASK_FUNCTION_PROTO(function, parameters)   void function(void *parameters)
#define portTASK_FUNCTION(function, parameters)         void function(void *parameters)

/* A task that yields traps into the switch; an interrupt asks for a switch on its way out. */
#define portYIELD()                     __asm__ volatile("svc 0" ::: "memory")
#define portEND_SWITCHING_ISR(wanted)   do { if (wanted) port_yield_pending = 1; } while (0)
#define portYIELD_FROM_ISR(wanted)      portEND_SWITCHING_ISR(wanted)
extern volatile uint32_t port_yield_pending;

/*
 * Critical sections mask all interrupts (CPSR.I, DAIF.I): each of them may call the
 * kernel, none is above it, and none interrupts another.
 */
void port_enter_critical(void);
void port_exit_critical(void);
UBaseType_t port_mask_from_isr(void);
void port_unmask_from_isr(UBaseType_t state);

#define portENTER_CRITICAL()                    port_enter_critical()
#define portEXIT_CRITICAL()                     port_exit_critical()
#define portSET_INTERRUPT_MASK_FROM_ISR()       port_mask_from_isr()
#define portCLEAR_INTERRUPT_MASK_FROM_ISR(x)    port_unmask_from_isr(x)

/* Every task has a VFP context from the start. */
#define portTASK_USES_FLOATING_POINT()

/* Called by the idle task: see timer.c. */
void port_sleep(TickType_t expected);
#define portSUPPRESS_TICKS_AND_SLEEP(expected)  port_sleep(expected)

/* The highest ready priority is the highest bit set. */
#ifndef configUSE_PORT_OPTIMISED_TASK_SELECTION
#define configUSE_PORT_OPTIMISED_TASK_SELECTION 1
#endif
#if configUSE_PORT_OPTIMISED_TASK_SELECTION
#if configMAX_PRIORITIES > 32
#error "configUSE_PORT_OPTIMISED_TASK_SELECTION needs configMAX_PRIORITIES of 32 or less"
#endif
#define portRECORD_READY_PRIORITY(priority, ready)  ((ready) |= 1UL << (priority))
#define portRESET_READY_PRIORITY(priority, ready)   ((ready) &= ~(1UL << (priority)))
#define portGET_HIGHEST_PRIORITY(top, ready)        ((top) = 8 * sizeof(ready) - 1 - (UBaseType_t)__builtin_clzl(ready))
#endif

#ifdef __cplusplus
}
#endif

#endif
