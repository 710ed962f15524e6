/*
 * lab-consoled: carries guests' consoles between xenconsoled and the host.
 *
 * xenconsoled (--log=guest) writes what a guest says to
 * /var/log/xen/console/guest-NAME.log. For every virtio-serial port "console.NAME" that the
 * machine has, now or later, that path is made a FIFO, which this daemon keeps open and
 * copies, byte for byte, into the port. For every piece it writes a line
 * "NAME OFFSET COUNTER" to the port "times": the piece's first byte has this offset in the
 * guest's stream, and the virtual counter (CNTVCT) read COUNTER when the piece arrived.
 *
 * What a person types arrives on the port and goes to the pty that xenconsoled made for the
 * running domain of that name, as the store says. Until there is one, it is kept.
 *
 * It also names the ports, as udev would: /dev/virtio-ports/NAME. The command returns when
 * the port given as its argument is there (status 0), or after WAIT_MS (status 1); the
 * daemon stays behind.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "counter.h"

#define PORTS_SYS "/sys/class/virtio-ports"
#define PORTS_DEV "/dev/virtio-ports"
#define LOGS "/var/log/xen/console"
#define DOMAINS "/local/domain"
#define CONSOLE "console."
#define UART "-vuart0"
#define MAX_GUESTS 64
#define NAME_SIZE 64
#define PIECE 4096
#define RETRY_MS 50
#define LOOK_MS 5		/* at boot: a port gets its name a moment after its device */
#define WAIT_MS 10000

struct guest {
	char name[NAME_SIZE];
	int port;		/* -1: this slot is free */
	int log;		/* the FIFO, open for both directions so that it never ends */
	uint64_t offset;	/* bytes of the stream that went into the port */
	char typed[PIECE];	/* from the host, not yet taken by the guest's pty */
	size_t typed_size;
	int silent;		/* nobody is at the port's other end: leave it for a moment */
};

/* libxenstore, xenstore.h; the library is packaged, its header is not needed for these. */
struct xs_handle;
struct xs_handle *xs_open(unsigned long flags);
char **xs_directory(struct xs_handle *, uint32_t transaction, const char *path, unsigned *count);
void *xs_read(struct xs_handle *, uint32_t transaction, const char *path, unsigned *size);

static struct guest guests[MAX_GUESTS];
static int times = -1;

/* Write everything; give up when nobody is at the other end. */
static void put(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size);

		if (n > 0) {
			data += n;
			size -= n;
		} else if (n < 0 && errno == EAGAIN) {
			struct pollfd p = { .fd = fd, .events = POLLOUT };

			if (poll(&p, 1, -1) > 0 && (p.revents & (POLLHUP | POLLERR)))
				return;
		} else if (n == 0 || errno != EINTR) {
			return;
		}
	}
}

static void put_time(const char *name, uint64_t offset)
{
	char line[NAME_SIZE + 64];
	int size = snprintf(line, sizeof line, "%s %llu %llu\n", name,
			    (unsigned long long)offset, (unsigned long long)counter());

	if (times >= 0)
		put(times, line, size);
}

/* One line in the kernel's log relates its times to the counter; the other is the header
 * of the times port. */
static void put_frequency(void)
{
	char line[96];
	int kmsg = open("/dev/kmsg", O_WRONLY);
	int size = snprintf(line, sizeof line, "lab: counter %llu frequency %u\n",
			    (unsigned long long)counter(), counter_frequency());

	if (kmsg >= 0) {
		put(kmsg, line, size);
		close(kmsg);
	}
	size = snprintf(line, sizeof line, "# frequency %u\n", counter_frequency());
	put(times, line, size);
}

static struct guest *slot(const char *name)
{
	struct guest *empty = NULL;

	for (struct guest *g = guests; g < guests + MAX_GUESTS; g++) {
		if (g->port >= 0 && !strcmp(g->name, name))
			return g;
		if (g->port < 0 && !empty)
			empty = g;
	}
	if (empty)
		snprintf(empty->name, sizeof empty->name, "%s", name);
	return empty;
}

static void add_guest(const char *name, const char *device)
{
	char path[NAME_SIZE + sizeof LOGS + 16];
	struct guest *g = slot(name);

	if (!g || g->port >= 0)
		return;
	snprintf(path, sizeof path, LOGS "/guest-%s.log", name);
	if (mkfifo(path, 0600) && errno != EEXIST)
		return;
	g->log = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	g->port = open(device, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (g->log < 0 || g->port < 0)
		fprintf(stderr, "lab-consoled: %s: %s\n", name, strerror(errno));
	if (g->port < 0 && g->log >= 0)
		close(g->log);
	g->offset = 0;
	g->typed_size = 0;
	g->silent = 0;
}

/* Its port was taken out of the machine. */
static void drop_guest(struct guest *g)
{
	char link[sizeof PORTS_DEV + NAME_SIZE + 16];

	snprintf(link, sizeof link, PORTS_DEV "/" CONSOLE "%s", g->name);
	unlink(link);
	close(g->port);
	close(g->log);
	g->port = -1;
}

static int port_name(const char *device, char *name)
{
	char path[sizeof PORTS_SYS + NAME_SIZE + 8];
	int fd, size;

	snprintf(path, sizeof path, PORTS_SYS "/%.32s/name", device);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	size = fd < 0 ? -1 : (int)read(fd, name, NAME_SIZE - 1);
	if (fd >= 0)
		close(fd);
	name[size > 0 ? size : 0] = 0;
	name[strcspn(name, "\n")] = 0;
	return size > 0 && !strchr(name, '/');
}

static void use_port(const char *name, const char *device)
{
	char link[sizeof PORTS_DEV + NAME_SIZE + 8], target[NAME_SIZE];

	snprintf(link, sizeof link, PORTS_DEV "/%s", name);
	snprintf(target, sizeof target, "/dev/%.32s", device);
	unlink(link);
	if (symlink(target, link))
		fprintf(stderr, "lab-consoled: %s: %s\n", link, strerror(errno));
	if (!strcmp(name, "times") && times < 0) {
		times = open(target, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		put_frequency();
	} else if (!strncmp(name, CONSOLE, strlen(CONSOLE))) {
		add_guest(name + strlen(CONSOLE), target);
	}
}

/* Take up every port; false if one has not been told its name yet. */
static int scan(void)
{
	char name[NAME_SIZE];
	DIR *folder = opendir(PORTS_SYS);
	struct dirent *entry;
	int complete = 1;

	while (folder && (entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		if (port_name(entry->d_name, name))
			use_port(name, entry->d_name);
		else
			complete = 0;
	}
	if (folder)
		closedir(folder);
	return complete;
}

static void guest_says(struct guest *g)
{
	char piece[PIECE];
	ssize_t size = read(g->log, piece, sizeof piece);

	if (size <= 0)
		return;
	put_time(g->name, g->offset);
	put(g->port, piece, size);
	g->offset += size;
}

static void host_says(struct guest *g)
{
	ssize_t size = read(g->port, g->typed, sizeof g->typed);

	if (size > 0)
		g->typed_size = size;
	else if (size == 0)
		g->silent = 1;
	else if (size < 0 && errno == ENODEV)
		drop_guest(g);
}

static char *domain_value(struct xs_handle *store, const char *domain, const char *key)
{
	char path[128];

	snprintf(path, sizeof path, DOMAINS "/%.16s/%s", domain, key);
	return xs_read(store, 0, path, NULL);
}

/* The pty of the running domain with this name, or of its UART if the name ends in UART; opened;
 * -1 if there is none. Asked anew each time: domains come and go, and their numbers and ptys
 * with them. */
static int open_tty(const char *name)
{
	static struct xs_handle *store;
	size_t length = strlen(name), rest = strlen(UART);
	int is_uart = length > rest && !strcmp(name + length - rest, UART);
	char **domains;
	unsigned count = 0;
	int tty = -1;

	if (!store)
		store = xs_open(0);
	domains = store ? xs_directory(store, 0, DOMAINS, &count) : NULL;
	length -= is_uart ? rest : 0;
	for (unsigned i = 0; i < count && tty < 0; i++) {
		char *found = domain_value(store, domains[i], "name");
		char *path = NULL;

		if (found && strlen(found) == length && !strncmp(found, name, length))
			path = domain_value(store, domains[i],
					    is_uart ? "vuart/0/tty" : "console/tty");
		if (path)
			tty = open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
		free(path);
		free(found);
	}
	free(domains);
	return tty;
}

static void type(struct guest *g)
{
	int tty = open_tty(g->name);
	ssize_t size = tty < 0 ? -1 : write(tty, g->typed, g->typed_size);

	if (tty >= 0)
		close(tty);
	if (size > 0) {
		g->typed_size -= size;
		memmove(g->typed, g->typed + size, g->typed_size);
	}
}

/* What came is forgotten: whoever is told of changes looks at everything anyway. */
static void drain(int changes)
{
	char events[PIECE];

	while (read(changes, events, sizeof events) > 0)
		;
}

/* One round: wait for something, and carry it. `complete`: no port lacks its name. */
static int serve(int changes, int complete)
{
	struct pollfd wait[1 + 2 * MAX_GUESTS] = { { .fd = changes, .events = POLLIN } };
	int pause = complete ? -1 : RETRY_MS;

	for (int i = 0; i < MAX_GUESTS; i++) {
		struct guest *g = &guests[i];

		wait[1 + 2 * i] = (struct pollfd){ .fd = g->port < 0 ? -1 : g->log,
						   .events = POLLIN };
		wait[2 + 2 * i] = (struct pollfd){
			.fd = g->typed_size || g->silent ? -1 : g->port, .events = POLLIN };
		if (g->port >= 0 && (g->typed_size || g->silent))
			pause = RETRY_MS;
		g->silent = 0;
	}
	if (poll(wait, 1 + 2 * MAX_GUESTS, pause) < 0)
		return complete;
	for (int i = 0; i < MAX_GUESTS; i++) {
		if (guests[i].port >= 0 && wait[1 + 2 * i].revents & POLLIN)
			guest_says(&guests[i]);
		if (guests[i].port >= 0 && wait[2 + 2 * i].revents)
			host_says(&guests[i]);
		if (guests[i].port >= 0 && guests[i].typed_size)
			type(&guests[i]);
	}
	if (wait[0].revents) {
		drain(changes);
		return scan();
	}
	return complete ? complete : scan();
}

static long milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int await(const char *name, int changes)
{
	char link[sizeof PORTS_DEV + NAME_SIZE + 8];
	long end = milliseconds() + WAIT_MS;

	snprintf(link, sizeof link, PORTS_DEV "/%s", name);
	while (milliseconds() < end) {
		struct pollfd p = { .fd = changes, .events = POLLIN };

		scan();
		if (!access(link, F_OK)) {
			scan();	/* ports before it were named before it: now they are there */
			return 1;
		}
		poll(&p, 1, LOOK_MS);
		drain(changes);	/* else the next wait would be none */
	}
	fprintf(stderr, "lab-consoled: no port %s after %d ms\n", name, WAIT_MS);
	return 0;
}

int main(int argc, char **argv)
{
	int changes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), complete = 0;

	for (int i = 0; i < MAX_GUESTS; i++)
		guests[i].port = -1;
	mkdir(PORTS_DEV, 0755);
	inotify_add_watch(changes, "/dev", IN_CREATE);
	if (argc > 1 && !await(argv[1], changes))
		return 1;
	if (daemon(0, 1))
		return 1;
	for (;;)
		complete = serve(changes, complete);
}
