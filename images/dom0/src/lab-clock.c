/*
 * lab-clock PAGES: how dom0's counter is related to the one that traces are stamped with.
 *
 * A domain's virtual counter (CNTVCT) is the physical one (CNTPCT) minus a constant, and Linux
 * lets no program read CNTPCT. So: Xen writes a record, stamped with CNTPCT, each time a domain
 * yields. We yield a few times, reading CNTVCT before and after, with xentrace running; each
 * record then bounds the difference from both sides, and all bounds must hold. The line
 * "clock LOW HIGH PAIRS FREQUENCY" goes to the port "trace-log"; LOW > HIGH would say that the
 * difference is no constant. PAGES must be what lab-xentrace will be given: Xen fixes the
 * size of its buffers with the first use.
 */
#include "lab.h"

#define XENTRACE "/usr/sbin/xentrace"
#define SCHED_VERBOSE "0x28000"		/* xen/include/public/trace.h; so are the numbers below */
#define SCHED_YIELD 0x28005
#define HYPERVISOR_SCHED_OP 29
#define PAIRS 32
#define LARGEST (4u << 20)

static uint64_t before[PAIRS], after[PAIRS];
static uint64_t yields[4 * PAIRS];

static int start(const char *pages, pid_t *pid)
{
	int ends[2];

	make_pipe(ends);
	*pid = fork();
	if (!*pid) {
		dup2(ends[1], STDOUT_FILENO);
		execl(XENTRACE, XENTRACE, "-D", "-e", SCHED_VERBOSE, "-S", pages, "-s", "10",
		      "/proc/self/fd/1", NULL);
		_exit(127);
	}
	close(ends[1]);
	return ends[0];
}

static void yield_often(void)
{
	struct privcmd_hypercall call = { .number = HYPERVISOR_SCHED_OP };
	int privcmd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);

	for (int i = 0; i < PAIRS; i++) {
		before[i] = counter();
		if (ioctl(privcmd, PRIVCMD_HYPERCALL, &call))
			die("lab-clock: yield: %s", strerror(errno));
		after[i] = counter();
	}
	close(privcmd);
}

/* The stamps of dom0's yields among the records; how many. A record: a word with the event
 * (28 bits), the number of extra words (3) and whether a stamp of two words follows (1). */
static size_t find_yields(const uint32_t *words, size_t count)
{
	size_t found = 0;

	for (size_t i = 0; i < count && found < sizeof yields / sizeof yields[0];) {
		uint32_t event = words[i] & 0xfffffff, extra = words[i] >> 28 & 7;
		uint32_t stamp = words[i] >> 31 ? 2 : 0;

		if (i + 1 + stamp + extra > count)
			break;
		if (event == SCHED_YIELD && stamp && extra >= 1 && words[i + 3] == 0)
			yields[found++] = words[i + 1] | (uint64_t)words[i + 2] << 32;
		i += 1 + stamp + extra;
	}
	return found;
}

static int earlier(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static size_t read_all(int from, char *data, size_t room)
{
	size_t got = 0;
	ssize_t size;

	while (got < room && (size = read(from, data + got, room - got)) > 0)
		got += size;
	return got;
}

int main(int argc, char **argv)
{
	static uint32_t words[LARGEST / 4];
	uint64_t low = 0, high = UINT64_MAX;
	struct pollfd first = { .events = POLLIN };
	size_t found;
	pid_t xentrace;
	FILE *file;
	int from;

	if (argc != 2)
		die("usage: lab-clock PAGES");
	number(argv[1], 4096);
	first.fd = from = start(argv[1], &xentrace);
	if (poll(&first, 1, READY_MS) != 1)
		die("lab-clock: xentrace says nothing");
	yield_often();
	kill(xentrace, SIGINT);
	found = find_yields(words, read_all(from, (char *)words, sizeof words) / 4);
	waitpid(xentrace, NULL, 0);
	if (found != PAIRS)
		die("lab-clock: %zu yields were seen, not %d", found, PAIRS);
	qsort(yields, found, sizeof yields[0], earlier);
	for (int i = 0; i < PAIRS; i++) {
		low = yields[i] - after[i] > low ? yields[i] - after[i] : low;
		high = yields[i] - before[i] < high ? yields[i] - before[i] : high;
	}
	file = fopen(CLOCK_FILE, "w");
	if (file)
		fprintf(file, "%llu %llu\n", (unsigned long long)low, (unsigned long long)high);
	if (!file || fclose(file))
		die("lab-clock: " CLOCK_FILE ": %s", strerror(errno));
	say("clock %llu %llu %d %u", (unsigned long long)low, (unsigned long long)high, PAIRS,
	    counter_frequency());
	return 0;
}
