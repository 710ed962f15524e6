/*
 * lab-xentrace MASK PAGES: carries Xen's own trace to the host.
 *
 * Starts xentrace(8) with this event mask and so many pages of buffer for each CPU, and
 * copies what it writes to the port "trace-xen". (xentrace takes a short write for an error,
 * and a port takes at most 32 KiB at once: hence the pipe.) Returns when the first records
 * have come, so that nothing that is started afterwards is missed. SIGTERM: xentrace switches
 * tracing off and empties the buffers; then a line "xen bytes N why" goes to "trace-log".
 */
#include "lab.h"

#define XENTRACE "/usr/sbin/xentrace"
#define LARGEST (1ull << 30)
#define PIECE 32768
/* xentrace does not survive a signal while it waits for room: a whole buffer fits in. */
#define PIPE_SIZE (1 << 20)
#define PIPE_SET_SIZE 1031		/* F_SETPIPE_SZ, include/uapi/linux/fcntl.h */

static pid_t xentrace;

static void on_term(int number)
{
	(void)number;
	if (xentrace > 0)
		kill(xentrace, SIGINT);
}

static int start(const char *mask, const char *pages)
{
	int ends[2];

	make_pipe(ends);
	fcntl(ends[1], PIPE_SET_SIZE, PIPE_SIZE);
	xentrace = fork();
	if (!xentrace) {
		dup2(open("/dev/null", O_RDWR), STDIN_FILENO);
		dup2(ends[1], STDOUT_FILENO);
		dup2(open("/run/xentrace.log", O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO);
		execl(XENTRACE, XENTRACE, "-D", "-e", mask, "-S", pages, "-s", "1000",
		      "/proc/self/fd/1", NULL);
		_exit(127);
	}
	close(ends[1]);
	return ends[0];
}

/* Until xentrace ends; why. */
static const char *carry(int from, int port, uint64_t *carried)
{
	static char piece[PIECE];
	const char *why = "complete";

	for (;;) {
		ssize_t size = read(from, piece, sizeof piece);

		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0)
			return why;
		if (!*carried)
			ready();
		if (*carried + size > LARGEST || put_all(port, piece, size)) {
			why = *carried + size > LARGEST ? "full" : "port";
			kill(xentrace, SIGINT);
			continue;
		}
		*carried += size;
	}
}

int main(int argc, char **argv)
{
	struct sigaction term = { .sa_handler = on_term };
	uint64_t carried = 0;
	const char *why;
	int port, status = 0;

	if (argc != 3)
		die("usage: lab-xentrace MASK PAGES");
	number(argv[1], UINT32_MAX);
	number(argv[2], 4096);
	port = open(PORTS "/trace-xen", O_WRONLY | O_CLOEXEC);
	if (port < 0)
		die("lab-xentrace: no port trace-xen: %s", strerror(errno));
	background("xen");
	sigaction(SIGTERM, &term, NULL);
	why = carry(start(argv[1], argv[2]), port, &carried);
	waitpid(xentrace, &status, 0);
	if (status)
		why = "failed";
	say("xen bytes %llu %s", (unsigned long long)carried, why);
	finished();
	return status != 0;
}
