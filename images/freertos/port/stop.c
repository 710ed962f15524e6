/* SPDX-License-Identifier: MIT */
/* The ends of a guest. */
#include "console.h"
#include "cpu.h"
#include "guest.h"
#include "port.h"
#include "xen.h"

static void __attribute__((noreturn)) stop(unsigned int reason)
{
    console_take_over();
    console_flush();
    xen_shutdown(reason);
}

void guest_poweroff(void)
{
    stop(SHUTDOWN_poweroff);
}

void guest_crash(void)
{
    stop(SHUTDOWN_crash);
}

void guest_panic(const char *format, ...)
{
    va_list args;

    console_take_over();
    printk("*** ");
    va_start(args, format);
    vprintk(format, args);
    va_end(args);
    printk(" [task %s]\n", port_who(cpu_state()));
    guest_crash();
}
