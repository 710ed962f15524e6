/*
 * lab-fate: says in dom0's log that a domain crashed: "lab: domain NAME crashed".
 *
 * Xen tells xenstored when a domain ends, and xenstored whoever watches @releaseDomain; so
 * nothing is polled, and a lab in which nobody crashes is not disturbed. A release build of
 * Xen prints nothing of its own about it. Whoever crashed before this program began is told,
 * too: it may be the second one of a boot (lab-init starts it again if it ends).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_TOLD 256u

/* libxenstore, xenstore.h, and libxenctrl 4.17, xenctrl.h; the libraries are packaged, their
 * headers are not needed for these. */
struct xs_handle;
struct xs_handle *xs_open(unsigned long flags);
_Bool xs_watch(struct xs_handle *, const char *path, const char *token);
char **xs_read_watch(struct xs_handle *, unsigned *count);
void *xs_read(struct xs_handle *, uint32_t transaction, const char *path, unsigned *size);
struct xc_interface_core;
struct xc_interface_core *xc_interface_open(void *log, void *build_log, unsigned flags);
struct dominfo {		/* how xc_dominfo_t begins, and more room than it takes */
	uint32_t domain, ssid;
	unsigned dying : 1, crashed : 1;
	uint64_t rest[64];
};
int xc_domain_getinfo(struct xc_interface_core *, uint32_t first, unsigned most,
		      struct dominfo *);

static struct xs_handle *store;

static void tell(uint32_t domain)
{
	char path[64], line[128];
	char *name;
	int log, size;

	snprintf(path, sizeof path, "/local/domain/%u/name", domain);
	name = xs_read(store, 0, path, NULL);
	size = snprintf(line, sizeof line, "<4>lab: domain %s crashed\n", name ? name : "unknown");
	log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (log < 0 || write(log, line, size) != size)
		dprintf(STDERR_FILENO, "%s", line);
	close(log);
	free(name);
}

/* Tell of every domain that has crashed since it was looked last. */
static void look(struct xc_interface_core *xen)
{
	static uint32_t told[MOST_TOLD];
	static unsigned count;
	struct dominfo found;

	for (uint32_t next = 1; xc_domain_getinfo(xen, next, 1, &found) == 1;
	     next = found.domain + 1) {
		int known = 0;

		if (!found.crashed)
			continue;
		for (unsigned i = 0; i < MOST_TOLD && i < count; i++)
			known |= told[i] == found.domain;
		if (known)
			continue;
		told[count++ % MOST_TOLD] = found.domain;
		tell(found.domain);
	}
}

int main(void)
{
	struct xc_interface_core *xen = xc_interface_open(NULL, NULL, 0);
	unsigned count;
	char **event;

	store = xs_open(0);
	if (!xen || !store || !xs_watch(store, "@releaseDomain", "fate"))
		return 1;
	look(xen);
	while ((event = xs_read_watch(store, &count))) {
		free(event);
		look(xen);
	}
	return 1;
}
