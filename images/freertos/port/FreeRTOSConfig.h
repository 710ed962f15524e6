/* SPDX-License-Identifier: MIT */
/*
 * Configuration of the kernel. An application changes any of it in a file
 * app_config.h of its own; what is defined there wins.
 */
#ifndef FREERTOS_CONFIG_H
#define FREERTOS_CONFIG_H

#if defined(__has_include)
#if __has_include("app_config.h")
#include "app_config.h"
#endif
#endif

/* Time and memory. */
#ifndef configTICK_RATE_HZ
#define configTICK_RATE_HZ              1000
#endif
#ifndef configTOTAL_HEAP_SIZE
#define configTOTAL_HEAP_SIZE           (1024 * 1024)
#endif
#ifndef configMINIMAL_STACK_SIZE
#define configMINIMAL_STACK_SIZE        512     /* words; a saved context takes 82, of 64 bits 100 */
#endif
#ifndef configMAX_PRIORITIES
#define configMAX_PRIORITIES            8
#endif
#ifndef configMAX_TASK_NAME_LEN
#define configMAX_TASK_NAME_LEN         16
#endif
#ifndef configUSE_TICKLESS_IDLE
#define configUSE_TICKLESS_IDLE         1       /* 0: idle still sleeps, but wakes for every tick */
#endif

/* The kernel's features. */
#define configUSE_PREEMPTION            1
#define configUSE_TIME_SLICING          1
#define configUSE_16_BIT_TICKS          0
#define configIDLE_SHOULD_YIELD         1
#define configSUPPORT_STATIC_ALLOCATION 1
#ifndef configSUPPORT_DYNAMIC_ALLOCATION
#define configSUPPORT_DYNAMIC_ALLOCATION 1
#endif
#define configUSE_MUTEXES               1
#define configUSE_RECURSIVE_MUTEXES     1
#define configUSE_COUNTING_SEMAPHORES   1
#define configUSE_TASK_NOTIFICATIONS    1
#define configUSE_QUEUE_SETS            1
#define configUSE_TRACE_FACILITY        1
#ifndef configQUEUE_REGISTRY_SIZE
#define configQUEUE_REGISTRY_SIZE       8
#endif
#ifndef configNUM_THREAD_LOCAL_STORAGE_POINTERS
#define configNUM_THREAD_LOCAL_STORAGE_POINTERS 1
#endif
#ifndef configUSE_CO_ROUTINES
#define configUSE_CO_ROUTINES           0
#endif
#define configSTACK_DEPTH_TYPE          uint32_t
#define configMESSAGE_BUFFER_LENGTH_TYPE size_t
#define configENABLE_BACKWARD_COMPATIBILITY 1

/* Software timers. */
#define configUSE_TIMERS                1
#define configTIMER_TASK_PRIORITY       (configMAX_PRIORITIES - 1)
#define configTIMER_QUEUE_LENGTH        16
#define configTIMER_TASK_STACK_DEPTH    configMINIMAL_STACK_SIZE

/* Hooks: hooks.c has one of each; an application's own replaces it. */
#define configUSE_IDLE_HOOK             1
#ifndef configUSE_TICK_HOOK
#define configUSE_TICK_HOOK             0
#endif
#define configUSE_MALLOC_FAILED_HOOK    1
#define configCHECK_FOR_STACK_OVERFLOW  2

#define INCLUDE_vTaskPrioritySet            1
#define INCLUDE_uxTaskPriorityGet           1
#define INCLUDE_vTaskDelete                 1
#define INCLUDE_vTaskSuspend                1
#define INCLUDE_xResumeFromISR              1
#define INCLUDE_vTaskDelayUntil             1   /* since V10.4.2 this means xTaskDelayUntil; both are an error */
#define INCLUDE_vTaskDelay                  1
#define INCLUDE_xTaskGetSchedulerState      1
#define INCLUDE_xTaskGetCurrentTaskHandle   1
#define INCLUDE_xTaskGetIdleTaskHandle      1
#define INCLUDE_uxTaskGetStackHighWaterMark 1
#define INCLUDE_eTaskGetState               1
#define INCLUDE_xTimerPendFunctionCall      1
#define INCLUDE_xTaskAbortDelay             1
#define INCLUDE_xTaskGetHandle              1
#define INCLUDE_xSemaphoreGetMutexHolder    1
#define INCLUDE_xQueueGetMutexHolder        1

#ifndef __ASSEMBLER__
void assert_failed(const char *file, int line);
#endif
#define configASSERT(condition) do { if (!(condition)) assert_failed(__FILE__, __LINE__); } while (0)

/* The kernel's trace macros, if this build wants them. */
#if LAB_TRACE
#include "trace.h"
#endif

#endif
