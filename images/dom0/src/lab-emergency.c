/*
 * lab-emergency: gives each guest the lines that it printed on Xen's own console.
 *
 * A debug build of Xen takes HYPERVISOR_console_io (CONSOLEIO_write) from a guest and prints
 * each line as "(d1) [    5.123456] text" (xen/drivers/char/console.c, guest_console_write);
 * 1 is the domain's number, the time is there with console_timestamps=boot. xenconsoled
 * (--log=all) passes Xen's console on to the FIFO HYPERVISOR_LOG. From there the text goes,
 * as a line, into the FIFO that the guest's other output takes too, which lab-consoled reads:
 * /var/log/xen/console/guest-NAME.log. The rest is Xen's own and dropped here: the machine's
 * first UART has it all.
 *
 * Names come from xenstored, over its socket (xen/include/public/io/xs_wire.h). A guest
 * without a name (destroyed by now) or without a FIFO has no log: its line is dropped.
 */
#define _POSIX_C_SOURCE 200809L
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LOGS "/var/log/xen/console"
#define HYPERVISOR_LOG LOGS "/hypervisor.log"
#define STORE "/run/xenstored/socket"
#define NAME_SIZE 64
#define LINE_SIZE 1024		/* Xen cuts a guest's line at 200 bytes */
#define FULL_MS 2000		/* how long a guest's FIFO may be full */

enum { XS_READ = 2 };

struct message {
	uint32_t type, request, transaction, size;
};

/* The domain whose name was asked for last: lines of one guest come in rows. */
static struct {
	unsigned int domain;
	char name[NAME_SIZE];
} known;

static int whole(ssize_t got, size_t wanted)
{
	return got >= 0 && (size_t)got == wanted;
}

/* Ask xenstored for one value, on a connection of its own; false if there is none. */
static int store_read(const char *path, char *value, size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = STORE };
	struct message head = { .type = XS_READ, .size = strlen(path) + 1 };
	int ok, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ok = fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof address) &&
	     whole(write(fd, &head, sizeof head), sizeof head) &&
	     whole(write(fd, path, head.size), head.size) &&
	     whole(recv(fd, &head, sizeof head, MSG_WAITALL), sizeof head) &&
	     head.type == XS_READ && head.size > 0 && head.size < size &&
	     whole(recv(fd, value, head.size, MSG_WAITALL), head.size);
	value[ok ? head.size : 0] = 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

static const char *name_of(unsigned int domain)
{
	char path[64];

	if (known.domain != domain) {
		snprintf(path, sizeof path, "/local/domain/%u/name", domain);
		known.domain = 0;
		if (!store_read(path, known.name, sizeof known.name) || strchr(known.name, '/'))
			return NULL;
		known.domain = domain;
	}
	return known.name;
}

/* Whole lines only: a pipe takes so few bytes at once or not at all, pipe(7). */
static void give(const char *name, const char *line, size_t size)
{
	char path[sizeof LOGS + NAME_SIZE + 16];
	struct pollfd room = { .events = POLLOUT };
	ssize_t written;

	snprintf(path, sizeof path, LOGS "/guest-%s.log", name);
	room.fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (room.fd < 0)
		return;
	do
		written = write(room.fd, line, size);
	while (written < 0 && errno == EAGAIN && poll(&room, 1, FULL_MS) > 0);
	close(room.fd);
}

/* What Xen puts before a line: "[    5.123456] ", or nothing. */
static char *after_stamp(char *text)
{
	char *at = text + 1;

	if (*text != '[')
		return text;
	while (*at == ' ' || *at == '.' || isdigit((unsigned char)*at))
		at++;
	return at[0] == ']' && at[1] == ' ' ? at + 2 : text;
}

/* One line of Xen's console, with its end: is it a guest's, then it is passed on. */
static void take(char *line)
{
	const char *name;
	char *end;
	unsigned long domain;

	if (strncmp(line, "(d", 2))
		return;
	domain = strtoul(line + 2, &end, 10);
	if (end == line + 2 || strncmp(end, ") ", 2) || domain == 0)
		return;
	name = name_of(domain);
	if (!name)
		return;
	line = after_stamp(end + 2);
	give(name, line, strlen(line));
}

int main(void)
{
	static char line[LINE_SIZE];
	/* For both directions: it never ends, however often xenconsoled comes and goes. */
	int fd = open(HYPERVISOR_LOG, O_RDWR | O_CLOEXEC);
	FILE *log = fd < 0 ? NULL : fdopen(fd, "r");

	while (log && fgets(line, sizeof line, log))
		take(line);
	perror(HYPERVISOR_LOG);
	return 1;
}
