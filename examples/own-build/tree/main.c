/*
 * Says one line on its console and powers off. stdint.h is the compiler's, the rest Xen's own
 * headers. The MMU is off, so addresses are physical ones.
 */
#include <stdint.h>
#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/io/console.h>
#include <xen/sched.h>

#define PAGE 4096u
#define BARRIER() __asm__ volatile("dmb ish" ::: "memory")

long hypercall(long argument0, long argument1, long number);

static uint64_t parameter(uint32_t index)
{
	struct xen_hvm_param wanted = { .domid = DOMID_SELF, .index = index };

	hypercall(HVMOP_get_param, (long)&wanted, __HYPERVISOR_hvm_op);
	BARRIER();
	return *(volatile uint64_t *)&wanted.value;
}

/* The console's ring (public/io/console.h): write, say that there is something, wait for its end. */
static void print(const char *text)
{
	uintptr_t page = parameter(HVM_PARAM_CONSOLE_PFN) * PAGE;
	volatile struct xencons_interface *ring = (volatile struct xencons_interface *)page;
	struct evtchn_send event = { .port = parameter(HVM_PARAM_CONSOLE_EVTCHN) };

	for (; *text; text++) {
		ring->out[MASK_XENCONS_IDX(ring->out_prod, ring->out)] = *text;
		BARRIER();
		ring->out_prod++;
	}
	BARRIER();
	hypercall(EVTCHNOP_send, (long)&event, __HYPERVISOR_event_channel_op);
	while (ring->out_cons != ring->out_prod)
		hypercall(SCHEDOP_yield, 0, __HYPERVISOR_sched_op);
}

int main(void)
{
	struct sched_shutdown off = { .reason = SHUTDOWN_poweroff };

	print("hello from a Makefile of my own\r\n");
	hypercall(SCHEDOP_shutdown, (long)&off, __HYPERVISOR_sched_op);
	return 0;
}
