/*
 * What our programs in dom0 ask of libxenctrl 4.17 (xenctrl.h); the library is packaged, its
 * header is not needed for these.
 */
#ifndef DOMAINS_H
#define DOMAINS_H

#include <stdint.h>

struct xc_interface_core;
struct xc_interface_core *xc_interface_open(void *log, void *build_log, unsigned flags);
int xc_domain_pause(struct xc_interface_core *, uint32_t domain);
int xc_domain_unpause(struct xc_interface_core *, uint32_t domain);

struct dominfo {		/* how xc_dominfo_t begins, and more room than it takes */
	uint32_t domain, ssid;
	unsigned dying : 1, crashed : 1, shutdown : 1, paused : 1, blocked : 1, running : 1;
	unsigned reason;
	unsigned long pages, outstanding, shared, paged, frame;
	uint64_t nanoseconds;
	unsigned long most_kb;
	unsigned vcpus, last_vcpu;
	uint64_t rest[64];
};
/* The first domain whose number is not less than `first`: 1, or something else. */
int xc_domain_getinfo(struct xc_interface_core *, uint32_t first, unsigned most,
		      struct dominfo *);

#endif
