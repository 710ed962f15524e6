/*
 * lab-steps: does what the host says, between moments at which the machine stands still.
 *
 * The host sets a breakpoint (QEMU's gdbstub) at one of two instructions of this program,
 * which lie at addresses that no other program uses. When dom0 reaches it, the whole machine
 * stops there: at a point of the program, not at a moment of the host's clock. The host reads
 * and writes the mailbox, whose address is in r0 (x0), and lets the machine go on to the other
 * instruction. So whatever dom0 is told, it is told at the same instruction in every run.
 * Nothing is told twice by one stop: from one breakpoint QEMU can only go on to another.
 *
 * QEMU stops the other CPUs some instructions after dom0's, and how many is a matter of the
 * host. If it says so, all guests are therefore paused around each stop: a CPU that waits
 * executes none.
 *
 * A machine whose host sets no breakpoint passes both and finds the order ORDER_LEAVE. It
 * stays then, and does nothing: the end of a process is work, and a restored machine would have
 * to do it before all else.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "counter.h"
#include "domains.h"
#include "window.h"

#define MAGIC 0x5453424cu	/* "LBST" */
#define ENTROPY 64u
#define MOST_SAID (64u << 20)	/* bytes that a program may say */
#define OUTPUT "/tmp/.steps-output"
#define ERRORS "/tmp/.steps-errors"
#define MACHINE_ID "/etc/machine-id"
#define MACHINE_ID_SIZE 33u	/* machine-id(5): 32 digits and a newline */
#define MOST_HELD 64u		/* guests that can be held at a stop */
#define PATIENCE_MS 2		/* in which they may all come to wait */
#define TURNS 4			/* of the other CPUs, until all that were paused stand still */

enum {
	ORDER_LEAVE,		/* nobody will stop here any more */
	ORDER_PUT,		/* a path, and bytes of the file from `until` on; it ends there */
	ORDER_GET,		/* a path; the file's bytes from `until` on go into the window */
	ORDER_RUN,		/* arguments, each with its NUL; answers with the output */
	ORDER_SLEEP,		/* until the counter reads `until` */
	ORDER_DIFFER,		/* ENTROPY random bytes, host name, NUL, machine id, newline */
	ORDER_UNPAUSE,		/* domains as words; let them run */
};

/* What host and dom0 tell each other. All fields are little-endian words. An order's words are
 * at the window's beginning, `size` bytes; with PUT `more_size` bytes from the next page on are
 * the file's. */
struct mailbox {
	uint32_t magic, order;
	uintptr_t data;		/* where and how many: what a program said on standard output */
	uint32_t size;
	uintptr_t more;		/* and on standard error */
	uint32_t more_size;
	int32_t status;		/* RUN: as wait(2) has it; else 0 or errno */
	uint32_t frequency;	/* of the counter, Hz */
	uint64_t counter;	/* CNTVCT at this stop */
	uint64_t until;		/* with SLEEP a counter; with PUT and GET a place in the file */
	uint32_t window;	/* how many bytes it has */
	uint32_t hold;		/* from the host: guests are paused at the stops to come */
};

/* include/xen/privcmd.h of Linux; public/sched.h and public/xen.h of Xen. */
#define SCHED_OP 29
#define SCHEDOP_POLL 3
#define POLLS 3
struct privcmd_hypercall {
	uint64_t op, arg[5];
};
#define HYPERCALL _IOC(_IOC_NONE, 'P', 0, sizeof(struct privcmd_hypercall))
struct sched_poll {
	uint64_t ports;
	uint32_t count;
	uint64_t timeout;
};

/* Open from the start, so that a restored machine need not open them. */
static int privcmd, urandom, machine_id;
static struct xc_interface_core *xen;
static struct window window;
static struct mailbox box = { .magic = MAGIC };

#ifdef __aarch64__
#define CODE ""
#define RETURN "ret"
#else
#define CODE ".arm\n"
#define RETURN "bx lr"
#endif

/* Two places to stop at. r0 or x0: the mailbox. The section's address is given to the linker. */
__asm__(".pushsection .steps, \"ax\"\n"
	CODE
	".global stop_even, stop_odd\n"
	".type stop_even, %function\n"
	"stop_even: " RETURN "\n"
	".balign 16\n"
	".type stop_odd, %function\n"
	"stop_odd: " RETURN "\n"
	".popsection\n");
void stop_even(struct mailbox *);
void stop_odd(struct mailbox *);

/* Have Linux and Xen set their timers (CNTV, CNTHP) anew: a machine that was restored at a
 * stop lacks both, as QEMU 10 does not bring them back. Each is given one that is over
 * already: a sleep of no length, a poll until the year zero. Xen ignores the latter if an
 * event waits, hence more than once. */
static void wind_up(void)
{
	struct timespec moment = { .tv_nsec = 1 };
	struct sched_poll poll = { .timeout = 1 };
	struct privcmd_hypercall call = {
		.op = SCHED_OP, .arg = { SCHEDOP_POLL, (uintptr_t)&poll },
	};

	for (int i = 0; i < POLLS; i++) {
		nanosleep(&moment, NULL);
		ioctl(privcmd, HYPERCALL, &call);
	}
}

static int a_guest_runs(void)
{
	struct dominfo found;

	for (uint32_t next = 1; xc_domain_getinfo(xen, next, 1, &found) == 1;
	     next = found.domain + 1)
		if (found.running)
			return 1;
	return 0;
}

/* Pause all guests; their numbers. A guest that is paused already is paused once more. Those
 * that wait are hardly disturbed by it, so we give them some time in which they may. */
static unsigned hold(uint32_t held[MOST_HELD])
{
	uint64_t end = counter() + box.frequency / 1000 * PATIENCE_MS;
	struct dominfo found;
	unsigned count = 0;

	while (a_guest_runs() && counter() < end)
		__asm__ volatile("yield");
	for (uint32_t next = 1; count < MOST_HELD && xc_domain_getinfo(xen, next, 1, &found) == 1;
	     next = found.domain + 1)
		if (!found.shutdown && !found.dying && !xc_domain_pause(xen, found.domain))
			held[count++] = found.domain;
	/* Under QEMU's instruction counter this is another CPU's turn; by the end they wait. */
	for (int i = 0; i < TURNS; i++)
		__asm__ volatile("yield");
	return count;
}

static int unpause(const uint32_t *ids, uint32_t count)
{
	int error = 0;

	for (uint32_t i = 0; i < count; i++)
		if (xc_domain_unpause(xen, ids[i]))
			error = errno;
	return error;
}

static void stop(void)
{
	static void (*const places[])(struct mailbox *) = { stop_even, stop_odd };
	static uint32_t held[MOST_HELD];
	static unsigned count;
	unsigned holding = box.hold ? hold(held) : 0;

	box.frequency = counter_frequency();
	box.counter = counter();
	box.order = ORDER_LEAVE;
	places[count++ % 2](&box);
	__asm__ volatile("" ::: "memory");
	unpause(held, holding);
	wind_up();
}

/* What the host has said, as memory of our own and with a NUL more; null: there is no room. */
static char *words(uint32_t size)
{
	uint32_t *copy = size <= window.size ? malloc((size & ~3u) + 8) : NULL;
	const volatile uint32_t *from = (const volatile void *)window.at;

	for (uint32_t i = 0; copy && i * 4 < size; i++)
		copy[i] = from[i];
	if (copy)
		((char *)copy)[size] = 0;
	return (char *)copy;
}

/* A file's bytes, for the host to read. Each page is there, since read(2) has filled it. */
static void show(const char *path, uintptr_t *data, uint32_t *size)
{
	struct stat found;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *bytes = NULL;
	ssize_t got = 1;

	*data = *size = 0;
	if (fd < 0)
		return;
	if (!fstat(fd, &found) && found.st_size > 0 && found.st_size <= (off_t)MOST_SAID)
		bytes = malloc(found.st_size);
	while (bytes && got > 0 && *size < (uint32_t)found.st_size) {
		got = read(fd, bytes + *size, found.st_size - *size);
		*size += got > 0 ? got : 0;
	}
	close(fd);
	*data = (uintptr_t)bytes;
}

static int put(const char *path, uint32_t length, uint32_t size, uint64_t offset)
{
	uint32_t start = (length + WINDOW_PAGE - 1) / WINDOW_PAGE * WINDOW_PAGE;

	return window_to_file(&window, start, size, path, offset);
}

static void become(char *line, uint32_t size)
{
	char *argv[64];
	int count = 0;

	for (uint32_t at = 0; at < size && count < 63; at += strlen(line + at) + 1)
		argv[count++] = line + at;
	argv[count] = NULL;
	setsid();
	dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
	dup2(open(OUTPUT, O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO);
	dup2(open(ERRORS, O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO);
	execvp(argv[0], argv);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static int run(char *line, uint32_t size)
{
	int status = -1;
	pid_t pid;

	if (!size)
		return -1;
	pid = fork();
	if (pid == 0)
		become(line, size);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	if (WIFSIGNALED(status))
		kill(-pid, SIGKILL);	/* it was late: its children, too */
	return status;
}

static void sleep_until(uint64_t counter)
{
	uint64_t ticks = counter > box.counter ? counter - box.counter : 0;
	struct timespec time = {
		.tv_sec = ticks / box.frequency,
		.tv_nsec = ticks % box.frequency * 1000000000ull / box.frequency,
	};

	while (nanosleep(&time, &time) && errno == EINTR)
		;
}

static int seed(const void *bytes)
{
	struct {
		struct rand_pool_info head;
		char bytes[ENTROPY];
	} pool = { .head = { .entropy_count = ENTROPY * 8, .buf_size = ENTROPY } };

	memcpy(pool.bytes, bytes, ENTROPY);
	if (ioctl(urandom, RNDADDENTROPY, &pool) || ioctl(urandom, RNDRESEEDCRNG))
		return errno;
	return 0;
}

/* Differ from all other machines that are restored from the same template. */
static int differ(const char *data, uint32_t size)
{
	const char *name = data + ENTROPY, *id = name + strlen(name) + 1;
	int error;

	if (size < ENTROPY + 2 || id + MACHINE_ID_SIZE != data + size)
		return EINVAL;
	error = seed(data);
	if (sethostname(name, strlen(name)))
		error = errno;
	if (pwrite(machine_id, id, MACHINE_ID_SIZE, 0) != (ssize_t)MACHINE_ID_SIZE)
		error = errno;
	return error;
}

static void obey(void)
{
	uint32_t size = box.size, more = box.more_size;
	char *data = words(size);

	box.data = box.size = box.more = box.more_size = 0;
	box.status = data ? 0 : ENOMEM;
	switch (data ? box.order : ORDER_LEAVE) {
	case ORDER_LEAVE:
		break;
	case ORDER_PUT:
		box.status = put(data, size, more, box.until);
		break;
	case ORDER_GET:
		box.status = window_from_file(&window, data, box.until, &box.size);
		break;
	case ORDER_RUN:
		box.status = run(data, size);
		show(OUTPUT, &box.data, &box.size);
		show(ERRORS, &box.more, &box.more_size);
		break;
	case ORDER_SLEEP:
		sleep_until(box.until);
		break;
	case ORDER_DIFFER:
		box.status = differ(data, size);
		break;
	case ORDER_UNPAUSE:
		box.status = unpause((const uint32_t *)data, size / sizeof(uint32_t));
		break;
	default:
		box.status = EINVAL;
	}
	free(data);
}

static void get_ready(void)
{
	static const char nobody[] = "00000000000000000000000000000000\n";

	prctl(PR_SET_TIMERSLACK, 1ul);
	privcmd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
	urandom = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	machine_id = open(MACHINE_ID, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0444);
	if (machine_id >= 0 && write(machine_id, nobody, MACHINE_ID_SIZE) < 0)
		perror(MACHINE_ID);
	xen = xc_interface_open(NULL, NULL, 0);
	errno = window_open(&window);
	if (errno)
		perror("lab-steps: the window");
	box.window = window.size;
	mlockall(MCL_CURRENT);	/* and all of it is there: the host writes the mailbox */
}

int main(void)
{
	get_ready();
	for (;;) {
		uintptr_t said[] = { box.data, box.more };

		stop();
		free((void *)said[0]);	/* it is read by now */
		free((void *)said[1]);
		if (box.order == ORDER_LEAVE)
			break;
		obey();
	}
	for (;;)
		pause();
}
