/* SPDX-License-Identifier: MIT */
/* From head.S to main(). */
#include <string.h>

#include "console.h"
#include "events.h"
#include "fdt.h"
#include "gic.h"
#include "guest.h"
#include "mmu.h"
#include "platform.h"
#include "timer.h"
#include "trace.h"
#include "vpl011.h"
#include "xen.h"

extern char __image_end[], __bss_start[], __bss_end[];
extern void (*__init_array_start[])(void), (*__init_array_end[])(void);

int main(void);
void guest_boot(uintptr_t distance, uintptr_t tree_physical) __attribute__((noreturn));

/* Before .bss is cleared no variable can be kept: only Xen's own console works, and its PL011. */
static void __attribute__((noreturn)) give_up(const char *why, uint64_t uart)
{
    static const char prefix[] = "guest: cannot start: ";

    if (uart) {
        volatile void *registers = mmu_boot_map(uart);

        vpl011_say(registers, prefix);
        vpl011_say(registers, why);
        vpl011_say(registers, "\n");
    }

    xen_emergency_write(prefix, sizeof prefix - 1);
    xen_emergency_write(why, strlen(why));
    xen_emergency_write("\n", 1);
    xen_shutdown(SHUTDOWN_crash);
}

/* The toolstack knows the file's size, not what .bss and heap add to it. */
static const char *check_room(const struct platform *found, uintptr_t end, uintptr_t tree)
{
    uint64_t ram_end = found->ram_base + found->ram_size;

    if (end > ram_end)
        return "the domain has too little memory for this image";
    if (tree < end && tree >= found->ram_base)
        return "the device tree lies inside the image: give the domain more memory";
    return NULL;
}

static void run_constructors(void)
{
    for (void (**constructor)(void) = __init_array_start; constructor < __init_array_end; constructor++)
        (*constructor)();
}

const char *guest_cmdline(void)
{
    return platform.cmdline;
}

/* `distance` is physical minus linked address of the image. */
void guest_boot(uintptr_t distance, uintptr_t tree_physical)
{
    const void *tree = (const void *)(tree_physical - distance);
    struct platform found;
    const char *problem;

    if (!fdt_size(tree))
        give_up("no device tree", 0);
    problem = platform_read(&found, tree);
    if (!problem)
        problem = check_room(&found, (uintptr_t)__image_end + distance, tree_physical);
    if (problem)
        give_up(problem, found.uart);

    memset(__bss_start, 0, __bss_end - __bss_start);
    platform = found;
    mmu_init(distance, platform.ram_base, platform.ram_size);
    gic_init(&platform);
    timer_init(platform.timer_irq, platform.timer_hz);
    trace_init(counter_hz());
    if (platform.event_irq)
        events_init(platform.event_irq);
    console_init();
    run_constructors();
    main();
    guest_poweroff();
}
