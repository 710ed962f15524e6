/* SPDX-License-Identifier: MIT */
/*
 * The console as tasks see it. Tasks take turns by a mutex; the holder waits
 * for room in the ring without holding anyone else up. Interrupt handlers,
 * critical sections and the idle task may not wait: while a task is in the
 * middle of a message, or the ring is full, their words go to a side buffer
 * that the next holder (or the next event) passes on. Only that can overflow.
 */
#include "console.h"

#include <FreeRTOS.h>
#include <semphr.h>
#include <task.h>

#include "guest.h"
#include "irq.h"
#include "platform.h"
#include "port.h"
#include "ring.h"
#include "vpl011.h"
#include "xen.h"

#ifndef LAB_EMERGENCY_CONSOLE
#define LAB_EMERGENCY_CONSOLE 0
#endif

enum { SIDE_SIZE = 1024, FLUSH_SECONDS = 2 };

/* Where the bytes go; null: to Xen's own console, if it takes them. */
static const struct line *line;
static bool taken_over, message_open;
static char side[SIDE_SIZE];
static size_t side_used, side_lost;
static SemaphoreHandle_t turn, room, typed;
static StaticSemaphore_t turn_memory, room_memory, typed_memory;

/* Interrupts off. Passes on what the side buffer holds, as far as there is room. */
static void drain_side(void)
{
    size_t sent = line->put(side, side_used);

    side_used -= sent;
    for (size_t i = 0; i < side_used; i++)
        side[i] = side[sent + i];
}

static void on_event(void)
{
    BaseType_t switch_wanted = pdFALSE;

    if (side_used && !message_open) {
        drain_side();
        line->notify();
    }
    xSemaphoreGiveFromISR(room, &switch_wanted);
    xSemaphoreGiveFromISR(typed, &switch_wanted);
    portYIELD_FROM_ISR(switch_wanted);
}

void console_init(void)
{
    turn = xSemaphoreCreateMutexStatic(&turn_memory);
    room = xSemaphoreCreateBinaryStatic(&room_memory);
    typed = xSemaphoreCreateBinaryStatic(&typed_memory);
    line = platform.event_irq ? ring_init(on_event) : NULL;
    if (line || !platform.uart)
        return;
    line = vpl011_init(platform.uart, platform.uart_irq, on_event);
    printk("console: %s at 0x%08x\n", line->name, (unsigned int)platform.uart);
}

static bool may_wait(void)
{
    uintptr_t state = cpu_state();

    return line && !taken_over && state_is_task(state) && !state_has_irqs_off(state) &&
           xTaskGetSchedulerState() == taskSCHEDULER_RUNNING &&
           xTaskGetCurrentTaskHandle() != xTaskGetIdleTaskHandle();
}

enum console_way console_begin(void)
{
    if (may_wait()) {
        xSemaphoreTake(turn, portMAX_DELAY);
        message_open = true;
        return CONSOLE_WAITS;
    }
    return irq_save() ? CONSOLE_NEVER_WAITS_IRQ_WAS_ON : CONSOLE_NEVER_WAITS;
}

/* No task to switch to: give the processor to the domain that reads. */
static bool scheduler_off(void)
{
    return taken_over || xTaskGetSchedulerState() == taskSCHEDULER_NOT_STARTED;
}

static uint64_t deadline_of_flush(void)
{
    return counter_now() + (uint64_t)FLUSH_SECONDS * counter_hz();
}

static void write_without_scheduler(const char *text, size_t length)
{
    for (uint64_t deadline = deadline_of_flush();;) {
        size_t sent = line->put(text, length);

        text += sent;
        length -= sent;
        if (!length || counter_now() > deadline)
            return;
        line->notify();
        xen_sched_op(SCHEDOP_yield, NULL);
    }
}

static void write_without_waiting(const char *text, size_t length)
{
    if (!message_open && !side_used) {
        size_t sent = line->put(text, length);

        text += sent;
        length -= sent;
    }
    for (; length && side_used < SIDE_SIZE; length--)
        side[side_used++] = *text++;
    side_lost += length;
}

static void write_waiting(const char *text, size_t length)
{
    for (;;) {
        size_t sent = line->put(text, length);

        text += sent;
        length -= sent;
        if (!length)
            return;
        line->notify();
        xSemaphoreTake(room, pdMS_TO_TICKS(100));
    }
}

void console_write(enum console_way way, const char *text, size_t length)
{
    /* If Xen takes it (a debug build does), it is printed there, otherwise the other way. */
    if ((LAB_EMERGENCY_CONSOLE || !line) && !xen_emergency_write(text, length))
        return;
    if (!line)
        return;
    if (scheduler_off())
        write_without_scheduler(text, length);
    else if (way == CONSOLE_WAITS)
        write_waiting(text, length);
    else
        write_without_waiting(text, length);
}

/* Ends a message: passes on the side buffer, and says how much did not fit into it. */
static void close_message(void)
{
    for (;;) {
        bool on = irq_save();
        size_t lost = side_lost;

        drain_side();
        if (!side_used) {
            side_lost = 0;
            message_open = lost != 0;
        }
        irq_restore(on);
        if (!side_used && !lost)
            return;
        if (side_used) {
            line->notify();
            xSemaphoreTake(room, pdMS_TO_TICKS(100));
        } else {
            char text[64];

            write_waiting(text, snprintk(text, sizeof text, "[%u bytes lost here]\r\n", (unsigned int)lost));
        }
    }
}

void console_end(enum console_way way)
{
    if (way == CONSOLE_WAITS)
        close_message();
    if (line)
        line->notify();
    if (way == CONSOLE_WAITS)
        xSemaphoreGive(turn);
    else
        irq_restore(way == CONSOLE_NEVER_WAITS_IRQ_WAS_ON);
}

void console_take_over(void)
{
    irq_disable();
    if (taken_over)
        return;
    taken_over = true;
    if (!line)
        return;
    if (message_open)           /* in the middle of someone's line */
        write_without_scheduler("\r\n", 2);
    write_without_scheduler(side, side_used);
}

void console_flush(void)
{
    uint64_t deadline = deadline_of_flush();

    if (!line)
        return;
    line->notify();
    while (!line->drained() && counter_now() < deadline)
        xen_sched_op(SCHEDOP_yield, NULL);
}

/* One byte for a task, waiting for it. */
static char get_typed(void)
{
    char byte;

    while (!line || !line->get(&byte))
        xSemaphoreTake(typed, portMAX_DELAY);
    return byte;
}

static void echo(const char *text, size_t length)
{
    enum console_way way = console_begin();

    console_write(way, text, length);
    console_end(way);
}

size_t console_read_line(char *typed_line, size_t size)
{
    size_t length = 0;

    for (;;) {
        char byte = get_typed();

        if (byte == '\r' || byte == '\n')
            break;
        if ((byte == '\b' || byte == 0x7f) && length) {
            length--;
            echo("\b \b", 3);
        } else if (byte >= ' ' && byte < 0x7f && length + 1 < size) {
            typed_line[length++] = byte;
            echo(&byte, 1);
        }
    }
    echo("\r\n", 2);
    typed_line[length] = 0;
    return length;
}
