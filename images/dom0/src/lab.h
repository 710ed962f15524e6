/*
 * What our programs in dom0 share: the counter, writing everything, a guest's memory, and
 * lines on the port "trace-log", which the host keeps as text.
 */
#ifndef LAB_H
#define LAB_H

/* Not _GNU_SOURCE: it asks for functions that the packaged C library does not have yet. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "counter.h"

#define PORTS "/dev/virtio-ports"
#define PAGE 4096u
#define NAME_SIZE 64
#define LOG_TRIES 200
#define READY_MS 10000
/* What lab-clock found: CNTPCT minus dom0's CNTVCT lies between these two numbers. */
#define CLOCK_FILE "/run/lab-clock"

/* libxenforeignmemory, xenforeignmemory.h; the library is packaged, its header is not needed. */
struct xenforeignmemory_handle;
struct xenforeignmemory_handle *xenforeignmemory_open(void *logger, unsigned flags);
void *xenforeignmemory_map(struct xenforeignmemory_handle *, uint32_t domain, int protection,
			   size_t pages, const uint64_t frames[], int errors[]);
int xenforeignmemory_unmap(struct xenforeignmemory_handle *, void *address, size_t pages);

/* libxenstore, xenstore.h; as above. */
struct xs_handle;
struct xs_handle *xs_open(unsigned long flags);
_Bool xs_is_domain_introduced(struct xs_handle *, unsigned int domain);

/* /dev/xen/privcmd, include/uapi/xen/privcmd.h of Linux. */
struct privcmd_hypercall {
	uint64_t number, argument[5];
};
#define PRIVCMD_HYPERCALL _IOC(_IOC_NONE, 'P', 0, sizeof(struct privcmd_hypercall))

__attribute__((noreturn, format(printf, 1, 2), unused)) static void die(const char *format, ...)
{
	va_list rest;

	va_start(rest, format);
	vfprintf(stderr, format, rest);
	va_end(rest);
	fputc('\n', stderr);
	exit(1);
}

/* A pipe that programs which are started do not inherit. */
__attribute__((unused)) static void make_pipe(int ends[2])
{
	if (pipe(ends) || fcntl(ends[0], F_SETFD, FD_CLOEXEC) || fcntl(ends[1], F_SETFD, FD_CLOEXEC))
		die("no pipe: %s", strerror(errno));
}

/* Write everything; a port takes at most 32 KiB at a time. */
__attribute__((unused)) static int put_all(int fd, const void *data, size_t size)
{
	const char *at = data;

	while (size) {
		ssize_t n = write(fd, at, size);

		if (n > 0) {
			at += n;
			size -= n;
		} else if (n == 0 || errno != EINTR) {
			return -1;
		}
	}
	return 0;
}

/* Lines for the host, together. A port is one process's at a time: wait for our turn. */
__attribute__((unused)) static void say_lines(const char *lines, size_t size)
{
	int fd = -1;

	for (int i = 0; i < LOG_TRIES; i++) {
		fd = open(PORTS "/trace-log", O_WRONLY | O_CLOEXEC);
		if (fd >= 0 || (errno != EBUSY && errno != EMFILE))
			break;
		usleep(5000);
	}
	if (fd < 0)
		return;
	put_all(fd, lines, size);
	close(fd);
}

__attribute__((format(printf, 1, 2), unused)) static void say(const char *format, ...)
{
	char line[512];
	va_list rest;
	int size;

	va_start(rest, format);
	size = vsnprintf(line, sizeof line - 1, format, rest);
	va_end(rest);
	if (size < 0)
		return;
	if ((size_t)size > sizeof line - 2)
		size = sizeof line - 2;
	line[size++] = '\n';
	say_lines(line, size);
}

/* A number within bounds, or the end. */
__attribute__((unused)) static uint64_t number(const char *text, uint64_t most)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || value > most)
		die("not a number up to %llu: %s", (unsigned long long)most, text);
	return value;
}

static struct xenforeignmemory_handle *memory;

/* The pages that hold `size` bytes from a guest's physical `address` on; null: not all there. */
__attribute__((unused)) static char *map_guest(uint32_t domain, uint64_t address, size_t size,
					       int protection)
{
	size_t pages = (address % PAGE + size + PAGE - 1) / PAGE;
	uint64_t *frames = calloc(pages, sizeof *frames);
	int *errors = calloc(pages, sizeof *errors);
	char *found = NULL;

	if (!memory)
		memory = xenforeignmemory_open(NULL, 0);
	if (!memory || !frames || !errors)
		die("no access to guests' memory: %s", strerror(errno));
	for (size_t i = 0; i < pages; i++)
		frames[i] = address / PAGE + i;
	found = xenforeignmemory_map(memory, domain, protection, pages, frames, errors);
	for (size_t i = 0; found && i < pages; i++)
		if (errors[i]) {
			xenforeignmemory_unmap(memory, found, pages);
			found = NULL;
		}
	free(frames);
	free(errors);
	return found ? found + address % PAGE : NULL;
}

__attribute__((unused)) static void unmap_guest(const char *at, size_t size)
{
	size_t before = (uintptr_t)at % PAGE;

	xenforeignmemory_unmap(memory, (void *)(at - before), (before + size + PAGE - 1) / PAGE);
}

/*
 * Go on in the background as the daemon "what". The command itself returns when the daemon
 * calls ready(), with status 0; or with 1, when it ends before or takes too long. Its pid is
 * in a file, until finished(): see lab-trace-stop.
 */
static int ready_pipe = -1;
static char pid_file[NAME_SIZE + 32];

__attribute__((unused)) static void background(const char *what)
{
	char answer;
	struct pollfd wait = { .events = POLLIN };
	int ends[2], fd;

	make_pipe(ends);
	if (fork()) {
		close(ends[1]);
		wait.fd = ends[0];
		exit(poll(&wait, 1, READY_MS) == 1 && read(ends[0], &answer, 1) == 1 ? 0 : 1);
	}
	close(ends[0]);
	ready_pipe = ends[1];
	setsid();
	snprintf(pid_file, sizeof pid_file, "/run/lab-trace.%s", what);
	fd = open(pid_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	dprintf(fd, "%d\n", getpid());
	close(fd);
}

__attribute__((unused)) static void ready(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i < 3; i++)
		dup2(null, i);
	put_all(ready_pipe, "+", 1);
	close(ready_pipe);
}

__attribute__((unused)) static void finished(void)
{
	unlink(pid_file);
}

#endif
