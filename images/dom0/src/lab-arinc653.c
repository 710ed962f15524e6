/*
 * lab-arinc653 POOL: prints the schedule that Xen's scheduler arinc653 has in this CPU pool (0
 * is the one in which Xen boots): a line "frame NANOSECONDS", then "UUID VCPU NANOSECONDS" for
 * each window, in order.
 * lab-arinc653 POOL NANOSECONDS UUID VCPU NANOSECONDS...: sets it; it holds at once.
 *
 * xl cannot set it. A domain is known by its UUID (xl.cfg(5)), so that it need not exist yet, and
 * keeps its windows if it is made again. dom0's UUID is all zeros.
 */
#include "lab.h"

#define MOST_WINDOWS 64		/* ARINC653_MAX_DOMAINS_PER_SCHEDULE, xen/include/public/sysctl.h */
#define UUID_SIZE 16
#define UUID_TEXT 36
#define MOST_VCPU 4095
#define MOST_POOL 1023

/* libxenctrl, xenctrl.h, the same since Xen 4.17; the library is packaged, its header is not
 * needed. The structure is of public/sysctl.h. */
struct xc_interface_core;
struct window {
	uint8_t domain[UUID_SIZE];
	uint32_t vcpu;
	uint64_t runtime __attribute__((aligned(8)));
};
struct schedule {
	uint64_t frame __attribute__((aligned(8)));
	uint8_t count;
	struct window windows[MOST_WINDOWS];
};
struct xc_interface_core *xc_interface_open(void *log, void *build_log, unsigned flags);
int xc_sched_arinc653_schedule_set(struct xc_interface_core *, uint32_t pool, struct schedule *);
int xc_sched_arinc653_schedule_get(struct xc_interface_core *, uint32_t pool, struct schedule *);

_Static_assert(sizeof(struct window) == 32, "as xen_sysctl_arinc653_schedule has it");
_Static_assert(sizeof(struct schedule) == 16 + MOST_WINDOWS * sizeof(struct window), "as well");

static int is_dash(int at)
{
	return at == 8 || at == 13 || at == 18 || at == 23;
}

static void read_uuid(const char *text, uint8_t uuid[UUID_SIZE])
{
	int size = 0;
	char pair[3] = "";

	if (strlen(text) != UUID_TEXT)
		die("not a UUID: %s", text);
	for (int at = 0; at < UUID_TEXT; at += is_dash(at) ? 1 : 2) {
		if (is_dash(at) && text[at] == '-')
			continue;
		memcpy(pair, text + at, 2);
		if (is_dash(at) || strspn(pair, "0123456789abcdefABCDEF") != 2)
			die("not a UUID: %s", text);
		uuid[size++] = strtoul(pair, NULL, 16);
	}
}

static void print_uuid(const uint8_t uuid[UUID_SIZE])
{
	for (int i = 0; i < UUID_SIZE; i++)
		printf("%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

static void print(const struct schedule *schedule)
{
	printf("frame %llu\n", (unsigned long long)schedule->frame);
	for (unsigned i = 0; i < schedule->count && i < MOST_WINDOWS; i++) {
		print_uuid(schedule->windows[i].domain);
		printf(" %u %llu\n", schedule->windows[i].vcpu,
		       (unsigned long long)schedule->windows[i].runtime);
	}
}

static void read_windows(char **words, int count, struct schedule *schedule)
{
	if (count % 3 || !count || count / 3 > MOST_WINDOWS)
		die("a window is UUID VCPU NANOSECONDS; 1 to %d of them", MOST_WINDOWS);
	schedule->count = count / 3;
	for (int i = 0; i < schedule->count; i++, words += 3) {
		read_uuid(words[0], schedule->windows[i].domain);
		schedule->windows[i].vcpu = number(words[1], MOST_VCPU);
		schedule->windows[i].runtime = number(words[2], INT64_MAX);
	}
}

int main(int argc, char **argv)
{
	static struct schedule schedule;
	struct xc_interface_core *xen = xc_interface_open(NULL, NULL, 0);
	uint32_t pool;

	if (argc < 2 || argc == 3)
		die("usage: lab-arinc653 POOL [NANOSECONDS UUID VCPU NANOSECONDS...]");
	if (!xen)
		die("no access to Xen: %s", strerror(errno));
	pool = number(argv[1], MOST_POOL);
	if (argc == 2) {
		if (xc_sched_arinc653_schedule_get(xen, pool, &schedule))
			die("Xen shows no schedule of CPU pool %u: %s", pool, strerror(errno));
		print(&schedule);
		return 0;
	}
	schedule.frame = number(argv[2], INT64_MAX);
	read_windows(argv + 3, argc - 3, &schedule);
	if (xc_sched_arinc653_schedule_set(xen, pool, &schedule))
		die("Xen refuses the schedule for CPU pool %u: %s", pool, strerror(errno));
	return 0;
}
