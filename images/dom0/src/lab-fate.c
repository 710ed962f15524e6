/*
 * lab-fate: says which domains there are, and in dom0's log that one crashed:
 * "lab: domain NAME crashed".
 *
 * Xen tells xenstored when a domain ends, and xenstored whoever watches @releaseDomain; so
 * nothing is polled, and a lab in which nobody crashes is not disturbed. A release build of
 * Xen prints nothing of its own about it. Whoever crashed before this program began is told,
 * too: it may be the second one of a boot (lab-init starts it again if it ends).
 *
 * Whoever wants to know the domains asks on the port "domains". A question is a line; the answer
 * begins and ends with it ("= QUESTION", ". QUESTION") and has between them a line as of
 * `xl list` for each domain. `xl` itself would have to be started, and that is dear in an
 * emulated machine: it costs ten times as much time, and 15 MB of translated code.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "domains.h"

#define MOST_TOLD 256u
#define PORT "/dev/virtio-ports/domains"
#define QUESTION 32u		/* its largest size, with the end of its line */
#define ANSWER 16384u
#define LINE 256u		/* the largest of a domain */

/* libxenstore, xenstore.h; the library is packaged, its header is not needed for these. */
struct xs_handle;
struct xs_handle *xs_open(unsigned long flags);
_Bool xs_watch(struct xs_handle *, const char *path, const char *token);
char **xs_check_watch(struct xs_handle *);
int xs_fileno(struct xs_handle *);
void *xs_read(struct xs_handle *, uint32_t transaction, const char *path, unsigned *size);

static struct xs_handle *store;

static char *name_of(uint32_t domain)
{
	char path[64];

	snprintf(path, sizeof path, "/local/domain/%u/name", domain);
	return xs_read(store, 0, path, NULL);
}

static void tell(uint32_t domain)
{
	char line[128], *name = name_of(domain);
	int log, size;

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

/* A line as `xl list` has it, but for the width of its columns. */
static size_t describe(const struct dominfo *found, char *line, size_t size)
{
	char *name = name_of(found->domain);
	uint64_t tenths = found->nanoseconds / 100000000;
	int length = snprintf(line, size, "%s %u %lu %u %c%c%c%c%c%c %llu.%llu\n",
			      name ? name : "?", found->domain,
			      (found->pages + found->outstanding) / 256, found->vcpus,
			      found->running ? 'r' : '-', found->blocked ? 'b' : '-',
			      found->paused ? 'p' : '-', found->shutdown ? 's' : '-',
			      found->crashed ? 'c' : '-', found->dying ? 'd' : '-',
			      (unsigned long long)tenths / 10, (unsigned long long)tenths % 10);

	free(name);
	return length < 0 || (size_t)length >= size ? 0 : length;
}

static void answer(struct xc_interface_core *xen, int port, const char *question)
{
	static char words[ANSWER];
	struct dominfo found;
	size_t size = snprintf(words, sizeof words, "= %s\n", question), at = 0;
	ssize_t done;

	for (uint32_t next = 0;
	     size < ANSWER - 2 * LINE && xc_domain_getinfo(xen, next, 1, &found) == 1;
	     next = found.domain + 1)
		size += describe(&found, words + size, LINE);
	size += snprintf(words + size, sizeof words - size, ". %s\n", question);
	while (at < size && (done = write(port, words + at, size - at)) > 0)
		at += done;
}

/* What came on the port; a question may come in pieces. */
static void hear(struct xc_interface_core *xen, int port)
{
	static char line[QUESTION];
	static size_t size;
	char piece[QUESTION];
	ssize_t got = read(port, piece, sizeof piece);

	for (ssize_t i = 0; i < got; i++) {
		line[size] = piece[i];
		if (piece[i] == '\n') {
			line[size] = 0;
			size = 0;
			answer(xen, port, line);
		} else if (size < sizeof line - 1) {
			size++;
		}
	}
}

int main(void)
{
	struct xc_interface_core *xen = xc_interface_open(NULL, NULL, 0);
	struct pollfd waits[2] = { { .events = POLLIN }, { .events = POLLIN } };
	char **event;

	store = xs_open(0);
	if (!xen || !store || !xs_watch(store, "@releaseDomain", "fate"))
		return 1;
	look(xen);
	waits[0].fd = xs_fileno(store);
	waits[1].fd = open(PORT, O_RDWR | O_CLOEXEC);	/* without one there are no questions */
	while (poll(waits, 2, -1) > 0 || errno == EINTR) {
		while (waits[0].revents && (event = xs_check_watch(store))) {
			free(event);
			look(xen);
		}
		if (waits[0].revents && errno != EAGAIN)
			return 1;
		if (waits[1].revents & POLLIN)
			hear(xen, waits[1].fd);
		else if (waits[1].revents)
			waits[1].fd = -1;
	}
	return 1;
}
