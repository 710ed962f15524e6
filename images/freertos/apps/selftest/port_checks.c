/* SPDX-License-Identifier: MIT */
/* What the port itself promises: float context, protected memory, caught mistakes. */
#include <string.h>

#include <FreeRTOS.h>
#include <queue.h>
#include <task.h>

#include "guest.h"
#include "registers.h"
#include "selftest.h"

/* ---- floating point and vector registers ---- */

static volatile bool disturb;
static volatile uint32_t disturbed;

void vApplicationTickHook(void);
void vApplicationStackOverflowHook(TaskHandle_t task, char *name);

/* In interrupt context, and without telling the compiler: the port must have saved them. */
void vApplicationTickHook(void)
{
    if (!disturb)
        return;
    disturbed++;
    registers_spoil();
}

struct holder {
    struct registers in, out;
    volatile bool done;
};

static void hold(void *argument)
{
    struct holder *holder = argument;

    registers_hold(&holder->in, &holder->out, counter_hz() / 4);
    holder->done = true;
    vTaskDelete(NULL);
}

static const char *check_float(void)
{
    static struct holder holders[3];
    uint32_t i, r;

    disturbed = 0;
    disturb = true;
    memset(holders, 0, sizeof holders);
    for (i = 0; i < 3; i++) {
        for (r = 0; r < REGISTER_WORDS; r++)
            holders[i].in.words[r] = 0x0101010101010101ULL * (i + 1) + ((uint64_t)r << 32) + r;
        holders[i].in.rounding = i << 22;
        xTaskCreate(hold, "holder", configMINIMAL_STACK_SIZE, &holders[i], LOW, NULL);
    }
    vTaskDelay(250);
    WAIT_FOR(holders[0].done && holders[1].done && holders[2].done);
    disturb = false;
    EXPECT(holders[0].done && holders[1].done && holders[2].done);
    EXPECT(disturbed > 0);
    for (i = 0; i < 3; i++) {
        EXPECT(memcmp(holders[i].in.words, holders[i].out.words, sizeof holders[i].in.words) == 0);
        EXPECT(holders[i].in.rounding == holders[i].out.rounding);
    }
    return NULL;
}

/* ---- memory protection ---- */

static const uint32_t constant = 0x600d600d;
static uint32_t code_in_data[] = { CODE_RETURN };

static void write_word(void *at)
{
    *(volatile uint32_t *)at = 0xbadbad00;
}

static void read_word(void *at)
{
    (void)*(volatile uint32_t *)at;
}

static void call(void *at)
{
    ((void (*)(void))at)();
}

static const char *check_text_write(void)
{
    uint32_t *target = (uint32_t *)(uintptr_t)write_word, before = *target;
    struct fault fault;

    EXPECT(fault_catch(&fault, write_word, target));
    EXPECT(fault.kind == FAULT_DATA);
    EXPECT(fault.address == (uintptr_t)target);
    EXPECT(*target == before);
    return NULL;
}

static const char *check_constant_write(void)
{
    struct fault fault;

    EXPECT(fault_catch(&fault, write_word, (void *)(uintptr_t)&constant));
    EXPECT(fault.kind == FAULT_DATA && fault.address == (uintptr_t)&constant);
    EXPECT(*(volatile const uint32_t *)&constant == 0x600d600d);
    return NULL;
}

static const char *check_data_execute(void)
{
    uint32_t *heap = pvPortMalloc(sizeof *heap);
    struct fault fault;

    EXPECT(fault_catch(&fault, call, code_in_data));
    EXPECT(fault.kind == FAULT_PREFETCH && fault.address == (uintptr_t)code_in_data);
    *heap = code_in_data[0];
    EXPECT(fault_catch(&fault, call, heap));
    EXPECT(fault.kind == FAULT_PREFETCH && fault.address == (uintptr_t)heap);
    EXPECT(fault_catch(&fault, call, (void *)(uintptr_t)&constant));
    EXPECT(fault.kind == FAULT_PREFETCH);
    vPortFree(heap);
    return NULL;
}

static const char *check_null(void)
{
    struct fault fault;

    EXPECT(fault_catch(&fault, read_word, NULL));
    EXPECT(fault.kind == FAULT_DATA && fault.address == 0);
    EXPECT(!fault_catch(&fault, read_word, code_in_data));
    EXPECT(fault.kind == FAULT_NONE);
    return NULL;
}

static void undefined(void *unused)
{
    (void)unused;
    __asm__ volatile("udf #0");
}

static const char *check_undefined(void)
{
    struct fault fault;

    EXPECT(fault_catch(&fault, undefined, NULL));
    EXPECT(fault.kind == FAULT_UNDEFINED);
    EXPECT(*(uint32_t *)fault.pc == CODE_UNDEFINED);     /* that very instruction */
    return NULL;
}

/* ---- mistakes that the kernel finds ---- */

static void fail_assertion(void *value)
{
    configASSERT(value != NULL);
}

static void misuse_kernel(void *unused)
{
    (void)unused;
    xQueueReceive(NULL, NULL, 0);
}

static const char *check_assert(void)
{
    struct fault fault;

    EXPECT(fault_catch(&fault, fail_assertion, NULL));
    EXPECT(fault.kind == FAULT_ASSERT && strstr(fault.file, "port_checks.c") && fault.line > 0);
    EXPECT(!fault_catch(&fault, fail_assertion, &fault));
    EXPECT(fault_catch(&fault, misuse_kernel, NULL));
    EXPECT(fault.kind == FAULT_ASSERT && strstr(fault.file, "queue.c"));
    return NULL;
}

enum { ROOM_BELOW = 512, STACK = configMINIMAL_STACK_SIZE };

/* The task's stack, and below it room that an overflow may spoil. */
static StackType_t memory[ROOM_BELOW + STACK] __attribute__((aligned(8)));
static StackType_t *const stack = memory + ROOM_BELOW;
static TaskHandle_t volatile overflowing;
static volatile uint32_t overflows;

void vApplicationStackOverflowHook(TaskHandle_t task, char *name)
{
    if (!overflowing || task != overflowing)
        guest_panic("stack overflow in task \"%s\"", name);
    overflows++;                        /* again at each switch: some kernels look at the pointer too */
}

static void overflow(void *unused)
{
    size_t below = (char *)__builtin_frame_address(0) - (char *)stack + 64;
    volatile char *array = __builtin_alloca(below);

    (void)unused;
    for (size_t i = 0; i < below; i++)
        array[i] = 1;
    vTaskDelay(portMAX_DELAY);
    vTaskDelete(NULL);
}

static const char *check_stack_overflow(void)
{
    static StaticTask_t task;

    overflows = 0;
    overflowing = xTaskCreateStatic(overflow, "overflow", STACK, NULL, LOW, stack, &task);
    WAIT_FOR(overflows);
    vTaskDelete(overflowing);
    overflowing = NULL;
    EXPECT(overflows > 0);
    return NULL;
}

const struct check port_checks[] = {
    { "float registers survive switches and interrupts", check_float },
    { "text cannot be written", check_text_write },
    { "constants cannot be written", check_constant_write },
    { "data cannot be executed", check_data_execute },
    { "null pointer is caught", check_null },
    { "undefined instruction is caught", check_undefined },
    { "failed assertion is caught", check_assert },
    { "stack overflow is caught", check_stack_overflow },
    { NULL, NULL },
};
