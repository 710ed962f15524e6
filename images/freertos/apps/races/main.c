/* SPDX-License-Identifier: MIT */
/*
 * Races that few runs show, for explorations. Command line: lost-wakeup or inversion, and perhaps
 * fixed. At the end a verdict: PASS, or FAIL if the race was lost.
 */
#include <string.h>

#include <FreeRTOS.h>
#include <task.h>

#include "guest.h"
#include "races.h"

enum { ROUNDS_PER_US = 250 };

void work_for_us(uint32_t microseconds)
{
    unsigned long rounds = (unsigned long)microseconds * ROUNDS_PER_US;

    __asm__ volatile("1:\tsubs %0, %0, #1\n\tbne 1b" : "+r"(rounds) :: "cc");
}

int main(void)
{
    const char *words = guest_cmdline();
    bool fixed = strstr(words, "fixed") != NULL;

    if (strstr(words, "lost-wakeup"))
        lost_wakeup(fixed);
    else if (strstr(words, "inversion"))
        inversion(fixed);
    else
        guest_panic("races: the command line names none: lost-wakeup or inversion");
    vTaskStartScheduler();
    return 0;
}
