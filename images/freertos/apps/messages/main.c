/* SPDX-License-Identifier: MIT */
/*
 * Two guests send messages to each other. Each is woken by an event channel that Xen connected
 * before they started. The messages lie in memory that both have; without such memory a message
 * has no content.
 *
 * Command line: role=ping or role=pong, port=N (the event channel), memory=NAME (none by default),
 * count=N (default 100), period=N (milliseconds, default 10).
 *
 * ping sends a message each period and waits for the answer. At the end it prints how long the
 * round trips took, and a verdict: PASS if every answer came and was right.
 */
#include <stdlib.h>
#include <string.h>

#include <FreeRTOS.h>
#include <task.h>

#include "guest.h"
#include "shared.h"
#include "trace.h"

/*
 * The first exchanges are not measured: the other guest starts meanwhile, and Xen itself notifies
 * one of the two when it connects the channel (evtchn_bind_interdomain in common/event_channel.c).
 */
enum { WORDS = 16, PRIORITY = 5, WARM_UP = 2, FIRST_WAIT_MS = 60000, WAIT_MS = 1000 };

struct message {
    uint32_t number, words[WORDS];
    uint64_t sent;                      /* counter_physical() of its sender */
};

/* What lies in the shared memory. Each guest writes to its own half. */
struct exchange {
    volatile struct message request __attribute__((aligned(64)));
    volatile struct message answer __attribute__((aligned(64)));
};

struct times { uint64_t least, most, sum; uint32_t count; };

static struct exchange *exchange;       /* null: without memory */
static uint32_t port, count, period;
static TaskHandle_t self;

static uint32_t number_of(const char *key, uint32_t otherwise)
{
    const char *word = strstr(guest_cmdline(), key);

    return word ? (uint32_t)strtoul(word + strlen(key), NULL, 0) : otherwise;
}

/* The word after `key` in the command line; false if there is none. */
static bool text_of(const char *key, char *text, size_t size)
{
    const char *word = strstr(guest_cmdline(), key);
    size_t length = word ? strcspn(word + strlen(key), " ") : 0;

    if (!word || length >= size)
        return false;
    memcpy(text, word + strlen(key), length);
    text[length] = 0;
    return true;
}

static uint32_t word_of(uint32_t number, uint32_t index)
{
    return (number + 1) * 2654435761u ^ index;
}

static void woken(void)
{
    BaseType_t switch_wanted = pdFALSE;

    vTaskNotifyGiveFromISR(self, &switch_wanted);
    portYIELD_FROM_ISR(switch_wanted);
}

static void write_message(volatile struct message *message, uint32_t number, uint32_t change)
{
    for (uint32_t i = 0; i < WORDS; i++)
        message->words[i] = word_of(number, i) ^ change;
    message->sent = counter_physical();
    __atomic_thread_fence(__ATOMIC_RELEASE);    /* the number says that the rest is there */
    message->number = number;
}

static bool is_right(const volatile struct message *message, uint32_t number, uint32_t change)
{
    if (message->number != number)
        return false;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < WORDS; i++)
        if (message->words[i] != (word_of(number, i) ^ change))
            return false;
    return true;
}

/* Waits for the answer; a wake-up without it does not count. */
static bool answered(uint32_t number, TickType_t patience)
{
    TickType_t start = xTaskGetTickCount(), waited = 0;

    for (; waited <= patience; waited = xTaskGetTickCount() - start) {
        if (!ulTaskNotifyTake(pdTRUE, patience - waited))
            return false;
        if (!exchange || exchange->answer.number == number)
            return true;
    }
    return false;
}

/* One message and its answer; false if that does not come, or is wrong. */
static bool exchanged(uint32_t number, uint32_t patience_ms, uint64_t *took)
{
    uint64_t start = counter_physical();

    ulTaskNotifyTake(pdTRUE, 0);
    trace_job_begin(number);
    if (exchange)
        write_message(&exchange->request, number, 0);
    shared_notify(port);
    if (!answered(number, pdMS_TO_TICKS(patience_ms))) {
        printk("ping: no answer to message %u within %u ms\n", (unsigned int)number,
               (unsigned int)patience_ms);
        return false;
    }
    *took = counter_physical() - start;
    trace_job_end(number);
    if (exchange && !is_right(&exchange->answer, number, ~0u)) {
        printk("ping: the answer to message %u is wrong\n", (unsigned int)number);
        return false;
    }
    return true;
}

static void note(struct times *times, uint64_t took)
{
    if (!times->count++ || took < times->least)
        times->least = took;
    if (took > times->most)
        times->most = took;
    times->sum += took;
}

static unsigned int nanoseconds(uint64_t ticks)
{
    return (unsigned int)(ticks * 1000000000u / counter_hz());
}

static void ping(void *unused)
{
    struct times times = { 0 };
    TickType_t woken_at;
    uint64_t took;
    bool passed;

    (void)unused;
    trace_period(period * 1000);
    trace_deadline(period * 1000);
    passed = exchanged(1, FIRST_WAIT_MS, &took);
    printk("ping: %s\n", passed ? "the other guest is there" : "nobody is there");
    woken_at = xTaskGetTickCount();
    for (uint32_t number = 2; passed && number <= count + WARM_UP; number++) {
        vTaskDelayUntil(&woken_at, pdMS_TO_TICKS(period));
        trace_release(number, counter_of_tick(woken_at));
        passed = exchanged(number, WAIT_MS, &took);
        if (passed && number > WARM_UP)
            note(&times, took);
    }
    if (times.count)
        printk("ping: %u round trips of %u bytes, ns: least %u mean %u most %u\n",
               (unsigned int)times.count, exchange ? (unsigned int)sizeof(struct message) : 0,
               nanoseconds(times.least), nanoseconds(times.sum / times.count),
               nanoseconds(times.most));
    printk("messages: %s\n", passed ? "PASS" : "FAIL");
    vTaskDelete(NULL);
}

/* A job of pong begins when ping has sent the message: its release jitter is the way of the event. */
static void pong(void *unused)
{
    uint32_t number = 0, before = 0;

    (void)unused;
    trace_period(period * 1000);
    trace_deadline(period * 1000);
    if (exchange)
        exchange->answer.number = 0;
    printk("pong: waiting at port %u\n", (unsigned int)port);
    for (;;) {
        ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
        number = exchange ? exchange->request.number : number + 1;
        if (number == before)
            continue;
        before = number;
        if (exchange)
            trace_release(number, exchange->request.sent);
        trace_job_begin(number);
        if (exchange)
            write_message(&exchange->answer, number, is_right(&exchange->request, number, 0) ? ~0u : 0);
        shared_notify(port);
        trace_job_end(number);
        if (number == count + WARM_UP)
            printk("pong: all messages answered\n");
    }
}

/* Maps the memory; false if it was asked for and is not there. */
static bool find_memory(void)
{
    char name[32];
    size_t size = 0;

    if (!text_of("memory=", name, sizeof name))
        return true;
    exchange = shared_memory(name, &size);
    printk("shared memory %s: %u bytes\n", name, (unsigned int)size);
    return exchange && size >= sizeof *exchange;
}

int main(void)
{
    char role[8] = "";
    bool is_ping;

    port = number_of("port=", 0);
    count = number_of("count=", 100);
    period = number_of("period=", 10);
    text_of("role=", role, sizeof role);
    is_ping = strcmp(role, "ping") == 0;
    if (!find_memory())
        guest_panic("messages: the domain has no such memory");
    xTaskCreate(is_ping ? ping : pong, is_ping ? "ping" : "pong", configMINIMAL_STACK_SIZE, NULL,
                PRIORITY, &self);
    if (!shared_channel(port, woken))
        guest_panic("messages: the domain has no event channel %u", (unsigned int)port);
    vTaskStartScheduler();
    return 0;
}
