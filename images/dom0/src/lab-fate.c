/*
 * lab-fate: says which domains there are, and in dom0's log how and when one ended:
 * "lab: domain NAME crashed (made 11.203456, ended 12.345678)", in seconds of dom0's counter.
 * It crashed, powered off, rebooted, was suspended, was ended by its watchdog, or just ended.
 *
 * Xen tells xenstored when a domain ends, and xenstored whoever watches @releaseDomain; so
 * nothing is polled, and a lab in which nobody ends is not disturbed. A release build of
 * Xen prints nothing of its own about it. Whoever ended before this program began is told,
 * too: it may be the second one of a boot (lab-init starts it again if it ends). When a domain
 * was made before that is not known; then no times are said.
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

#include "counter.h"
#include "domains.h"

#define MOST_KNOWN 256u
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

/* lab-guest writes there after it gave a domain its name. */
#define ADOPTED "/lab/adopted"

static char *name_of(uint32_t domain)
{
	char path[64];

	snprintf(path, sizeof path, "/local/domain/%u/name", domain);
	return xs_read(store, 0, path, NULL);
}

/* The whole seconds of a counter value, and its microseconds. */
#define SECONDS(value) \
	(unsigned long)((value) / counter_frequency()), \
	(unsigned long)((value) % counter_frequency() * 1000000 / counter_frequency())

static const char *end_of(const struct dominfo *found)
{
	static const char *const ends[] = {	/* SHUTDOWN_..., xen/include/public/sched.h */
		"powered off", "rebooted", "was suspended", "crashed", "was ended by its watchdog",
	};

	return found->reason < sizeof ends / sizeof ends[0] ? ends[found->reason] : "ended";
}

static void tell(const struct dominfo *found, uint64_t made)
{
	char line[160], times[64] = "", *name = name_of(found->domain);
	uint64_t now = counter();
	int log, size;

	if (made)
		snprintf(times, sizeof times, " (made %lu.%06lu, ended %lu.%06lu)",
			 SECONDS(made), SECONDS(now));
	size = snprintf(line, sizeof line, "<4>lab: domain %s %s%s\n",
			name ? name : "unknown", end_of(found), times);
	log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (log < 0 || write(log, line, size) != size)
		dprintf(STDERR_FILENO, "%s", line);
	close(log);
	free(name);
}

/* What is known of a domain; it is known from now on if it was not. */
static struct known {
	uint32_t domain;
	int told;
	uint64_t made;
} *known_of(uint32_t domain, uint64_t now)
{
	static struct known known[MOST_KNOWN];
	static unsigned count;
	struct known *one;

	for (unsigned i = 0; i < MOST_KNOWN && i < count; i++)
		if (known[i].domain == domain)
			return &known[i];
	one = &known[count++ % MOST_KNOWN];
	*one = (struct known){ .domain = domain, .made = now };
	return one;
}

/* Whether a domain has its guest's name. One that Xen created while it booted has none at first,
 * and then the one that init-dom0less gives it, until lab-guest adopts it. */
static int is_adopted(uint32_t domain)
{
	char *name = name_of(domain);
	int adopted = name && strncmp(name, "dom0less-", 9) != 0;

	free(name);
	return adopted;
}

/* Notice every domain that was made since it was looked last, tell of every one that ended.
 * `now`: the counter; 0 if nobody looked before. */
static void look(struct xc_interface_core *xen, uint64_t now)
{
	struct dominfo found;

	for (uint32_t next = 1; xc_domain_getinfo(xen, next, 1, &found) == 1;
	     next = found.domain + 1) {
		struct known *known = known_of(found.domain, now);

		if (known->told || !(found.crashed || found.shutdown) || !is_adopted(found.domain))
			continue;
		known->told = 1;
		tell(&found, known->made);
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
	if (!xen || !store || !xs_watch(store, "@releaseDomain", "fate") ||
	    !xs_watch(store, "@introduceDomain", "fate") || !xs_watch(store, ADOPTED, "fate"))
		return 1;
	look(xen, 0);
	waits[0].fd = xs_fileno(store);
	waits[1].fd = open(PORT, O_RDWR | O_CLOEXEC);	/* without one there are no questions */
	while (poll(waits, 2, -1) > 0 || errno == EINTR) {
		while (waits[0].revents && (event = xs_check_watch(store))) {
			free(event);
			look(xen, counter());
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
