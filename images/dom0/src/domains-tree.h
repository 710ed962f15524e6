/*
 * What our programs in dom0 ask of libxenctrl, as domains.h has it, compiled against the headers
 * of the Xen that the library is from. xc_domain_getinfo() went with 4.18;
 * xc_domain_getinfolist() is in all of them.
 */
#ifndef DOMAINS_H
#define DOMAINS_H

#include <stdint.h>

#define sched_poll xen_sched_poll	/* lab-steps has one of its own, with plain numbers */
#include <xenctrl.h>
#undef sched_poll

struct dominfo {
	uint32_t domain;
	unsigned dying : 1, crashed : 1, shutdown : 1, paused : 1, blocked : 1, running : 1;
	unsigned reason;
	unsigned long pages, outstanding;
	uint64_t nanoseconds;
	unsigned vcpus;
};

/* The first domain whose number is not less than `first`: 1, or something else. One that
 * crashed has not shut down. */
static inline int domain_from(xc_interface *xen, uint32_t first, unsigned most,
			      struct dominfo *found)
{
	xc_domaininfo_t one;
	int count = xc_domain_getinfolist(xen, first, most, &one);
	int shutdown, crashed;

	if (count != 1)
		return count;
	shutdown = !!(one.flags & XEN_DOMINF_shutdown);
	found->reason = one.flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
	crashed = shutdown && found->reason == SHUTDOWN_crash;
	found->domain = one.domain;
	found->dying = !!(one.flags & XEN_DOMINF_dying);
	found->crashed = crashed;
	found->shutdown = shutdown && !crashed;
	found->paused = !!(one.flags & XEN_DOMINF_paused);
	found->blocked = !!(one.flags & XEN_DOMINF_blocked);
	found->running = !!(one.flags & XEN_DOMINF_running);
	found->pages = one.tot_pages;
	found->outstanding = one.outstanding_pages;
	found->nanoseconds = one.cpu_time;
	found->vcpus = one.nr_online_vcpus;
	return 1;
}

/* The programs know the function under the name that it has in 4.17. */
#define xc_domain_getinfo domain_from

#endif
