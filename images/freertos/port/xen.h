/* SPDX-License-Identifier: MIT */
/* Hypercalls, and the Xen headers they need. */
#ifndef PORT_XEN_H
#define PORT_XEN_H

#include <stddef.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/io/console.h>
#include <xen/memory.h>
#include <xen/sched.h>

long hypercall(unsigned long nr, unsigned long a0, unsigned long a1, unsigned long a2,
               unsigned long a3);

static inline long xen_sched_op(int command, void *argument)
{
    return hypercall(__HYPERVISOR_sched_op, command, (unsigned long)argument, 0, 0);
}

static inline long xen_event_channel_op(int command, void *argument)
{
    return hypercall(__HYPERVISOR_event_channel_op, command, (unsigned long)argument, 0, 0);
}

/* Xen's own console; a release build of Xen refuses it to guests. */
static inline long xen_emergency_write(const char *text, size_t length)
{
    return hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, length, (unsigned long)text, 0);
}

/* Ends the domain with one of SHUTDOWN_*, at once. */
static inline void __attribute__((noreturn)) xen_shutdown(unsigned int reason)
{
    struct sched_shutdown argument = { .reason = reason };

    for (;;)
        xen_sched_op(SCHEDOP_shutdown, &argument);
}

/* A parameter of this domain (HVM_PARAM_*), 0 if Xen does not tell. */
static inline uint64_t xen_get_param(uint32_t index)
{
    struct xen_hvm_param argument = { .domid = DOMID_SELF, .index = index };

    if (hypercall(__HYPERVISOR_hvm_op, HVMOP_get_param, (unsigned long)&argument, 0, 0))
        return 0;
    return argument.value;
}

/* Puts this domain's shared_info page at a guest frame. */
static inline long xen_map_shared_info(uint64_t frame)
{
    struct xen_add_to_physmap argument = {
        .domid = DOMID_SELF, .space = XENMAPSPACE_shared_info, .idx = 0, .gpfn = frame,
    };

    return hypercall(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, (unsigned long)&argument, 0, 0);
}

#endif
