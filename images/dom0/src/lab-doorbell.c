/*
 * lab-doorbell GUEST DOMAIN ADDRESS: rings for a guest that asks for it.
 *
 * At a guest physical ADDRESS (the ELF symbol lab_doorbell; images/freertos/port/doorbell.c)
 * the guest says to which event channel, how often (microseconds) and how many times. When
 * it rang is told in lines "ring GUEST NUMBER COUNTER" on the port "trace-log"; COUNTER is
 * dom0's virtual counter just before. The guest's wishes are bounded.
 */
#include "lab.h"

#define MAGIC "XLBELL1"
#define LEAST_PERIOD_US 1000
#define MOST_PERIOD_US 10000000
#define MOST_TIMES 1000000
#define LOOK_MS 10
#define KEPT 256

/* /dev/xen/evtchn, include/uapi/xen/evtchn.h of Linux. */
struct bind_interdomain {
	unsigned int domain, port;
};
struct notify {
	unsigned int port;
};
#define EVTCHN_BIND_INTERDOMAIN _IOC(_IOC_NONE, 'E', 1, sizeof(struct bind_interdomain))
#define EVTCHN_NOTIFY _IOC(_IOC_NONE, 'E', 4, sizeof(struct notify))

struct doorbell {
	char magic[8];
	uint32_t port, period_us, times, reserved[3];
};

static struct xs_handle *store;
static const char *guest;
static uint32_t domain;
static uint64_t rung_at[KEPT];
static volatile sig_atomic_t ending;

static void on_term(int number)
{
	(void)number;
	ending = 1;
}

static int gone(void)
{
	return store && !xs_is_domain_introduced(store, domain);
}

/* Wait until the guest has said what it wants. */
static struct doorbell await(const volatile struct doorbell *shared)
{
	struct doorbell seen;

	for (unsigned round = 1;; round++) {
		memcpy(&seen, (const void *)shared, sizeof seen);
		__asm__ volatile("dmb ish" ::: "memory");
		if (!memcmp(seen.magic, MAGIC, sizeof seen.magic))
			break;
		if (ending || (round % 100 == 0 && gone()))
			break;
		usleep(LOOK_MS * 1000);
	}
	memcpy(&seen, (const void *)shared, sizeof seen);
	if (seen.period_us < LEAST_PERIOD_US || seen.period_us > MOST_PERIOD_US ||
	    seen.times > MOST_TIMES || memcmp(seen.magic, MAGIC, sizeof seen.magic))
		seen.times = 0;
	return seen;
}

static void tell(uint32_t from, uint32_t to)
{
	for (; from < to; from++)
		say("ring %s %u %llu", guest, from, (unsigned long long)rung_at[from % KEPT]);
}

static void ring(int events, const struct doorbell *wish)
{
	struct bind_interdomain bind = { .domain = domain, .port = wish->port };
	struct notify notify;
	struct timespec next;
	uint32_t rung = 0, told = 0;
	int port = ioctl(events, EVTCHN_BIND_INTERDOMAIN, &bind);

	if (port < 0)
		return;
	notify.port = port;
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (uint32_t i = 0; i < wish->times && !ending; i++) {
		next.tv_nsec += wish->period_us % 1000000 * 1000;
		next.tv_sec += wish->period_us / 1000000 + next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
		rung_at[i % KEPT] = counter();
		if (ending || ioctl(events, EVTCHN_NOTIFY, &notify))
			break;
		rung = i + 1;
		if (rung - told == KEPT) {
			tell(told, rung);
			told = rung;
			if (gone())
				break;
		}
	}
	tell(told, rung);
}

int main(int argc, char **argv)
{
	const volatile struct doorbell *shared;
	struct doorbell wish;
	char name[NAME_SIZE + 8];
	uint64_t address;
	int events;

	if (argc != 4 || strlen(argv[1]) >= NAME_SIZE)
		die("usage: lab-doorbell GUEST DOMAIN ADDRESS");
	guest = argv[1];
	domain = number(argv[2], 0x7fef);
	address = number(argv[3], UINT32_MAX);
	if (address % sizeof *shared)
		die("lab-doorbell: no doorbell lies at %s", argv[3]);
	snprintf(name, sizeof name, "%s-doorbell", guest);
	background(name);		/* first: a guest's memory is not mapped in a child */
	signal(SIGTERM, on_term);
	shared = (const void *)map_guest(domain, address, sizeof *shared);
	events = open("/dev/xen/evtchn", O_RDWR | O_CLOEXEC);
	if (!shared || events < 0)
		die("lab-doorbell: %s: %s", guest, shared ? "no event channels" : "no memory there");
	store = xs_open(0);
	ready();
	wish = await(shared);
	unmap_guest((const char *)shared, sizeof *shared);
	if (wish.times)
		ring(events, &wish);
	finished();
	return 0;
}
