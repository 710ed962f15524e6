/*
 * lab-doorbell GUEST DOMAIN ADDRESS: rings for a guest that asks for it.
 *
 * At a guest physical ADDRESS (the ELF symbol lab_doorbell; images/freertos/port/doorbell.c)
 * the guest says to which event channel, how often (microseconds) and how many times. When
 * it rang is told in lines "ring GUEST NUMBER COUNTER" on the port "trace-log"; COUNTER is
 * dom0's virtual counter just before. The guest is told too, by the physical counter if
 * lab-clock knows how to get from one to the other (else 0), and how often it rang: so it
 * sees each ring, also when two come as one interrupt. The guest's wishes are bounded.
 */
#include "lab.h"

#define MAGIC "XLBELL1"
#define LEAST_PERIOD_US 1000
#define MOST_PERIOD_US 10000000
#define MOST_TIMES 1000000
#define LOOK_MS 10
#define GONE_EVERY 64
#define KEPT 64
#define SLOTS 64

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
	uint32_t port, period_us, times;
	uint32_t rung;			/* from here on by us */
	uint64_t rung_at[SLOTS];	/* ring n at n % SLOTS */
};

static struct xs_handle *store;
static const char *guest;
static uint32_t domain;
static uint64_t rung_at[KEPT];
static uint64_t shift;			/* CNTPCT minus our CNTVCT; 0: not known */
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

static void read_shift(void)
{
	unsigned long long low, high;
	FILE *file = fopen(CLOCK_FILE, "r");

	if (file && fscanf(file, "%llu %llu", &low, &high) == 2 && low <= high)
		shift = low + (high - low) / 2;
	if (file)
		fclose(file);
}

/* Write down for the guest that ring `n` comes now. */
static void note(volatile struct doorbell *shared, uint32_t n)
{
	uint64_t now = counter();

	rung_at[n % KEPT] = now;
	shared->rung_at[n % SLOTS] = shift ? now + shift : 0;
	__asm__ volatile("dmb ish" ::: "memory");
	shared->rung = n + 1;
	__asm__ volatile("dmb ish" ::: "memory");
}

/* Together, for each line apart would keep dom0 busy so long that guests feel it. */
static void tell(uint32_t from, uint32_t to)
{
	static char lines[KEPT * (NAME_SIZE + 48)];
	size_t size = 0;

	for (; from < to; from++)
		size += snprintf(lines + size, sizeof lines - size, "ring %s %u %llu\n", guest, from,
				 (unsigned long long)rung_at[from % KEPT]);
	if (size)
		say_lines(lines, size);
}

static void ring(int events, const struct doorbell *wish, volatile struct doorbell *shared)
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
		note(shared, i);
		if (ending || ioctl(events, EVTCHN_NOTIFY, &notify))
			break;
		rung = i + 1;
		if (rung - told == KEPT) {
			tell(told, rung);
			told = rung;
		}
		if (rung % GONE_EVERY == 0 && gone())
			break;
	}
	tell(told, rung);
}

int main(int argc, char **argv)
{
	volatile struct doorbell *shared;
	struct doorbell wish;
	char name[NAME_SIZE + 8];
	uint64_t address;
	int events;

	if (argc != 4 || strlen(argv[1]) >= NAME_SIZE)
		die("usage: lab-doorbell GUEST DOMAIN ADDRESS");
	guest = argv[1];
	domain = number(argv[2], 0x7fef);
	address = number(argv[3], UINT32_MAX);
	if (address % 64)
		die("lab-doorbell: no doorbell lies at %s", argv[3]);
	snprintf(name, sizeof name, "%s-doorbell", guest);
	background(name);		/* first: a guest's memory is not mapped in a child */
	signal(SIGTERM, on_term);
	shared = (void *)map_guest(domain, address, sizeof *shared, PROT_READ | PROT_WRITE);
	events = open("/dev/xen/evtchn", O_RDWR | O_CLOEXEC);
	if (!shared || events < 0)
		die("lab-doorbell: %s: %s", guest, shared ? "no event channels" : "no memory there");
	store = xs_open(0);
	ready();
	wish = await(shared);
	read_shift();
	if (wish.times)
		ring(events, &wish, shared);
	unmap_guest((const char *)shared, sizeof *shared);
	finished();
	return 0;
}
