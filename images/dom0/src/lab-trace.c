/*
 * lab-trace GUEST DOMAIN ADDRESS SIZE: carries a guest's timing trace to the host.
 *
 * The trace is a ring of 16-byte records in the guest's memory (images/freertos/port/trace.c),
 * SIZE bytes in all, at a guest physical ADDRESS that the ELF file's symbol says. New records
 * are copied to the port "trace.GUEST" as they are, so often that the ring is hardly ever more
 * than a quarter full; where the guest was too fast for us, one record LOST says how many are
 * missing. What else is known goes as text to
 * the port "trace-log":
 *
 *   guest NAME domain N frequency HZ tick HZ capacity N
 *   task NAME ID PRIORITY NAME-IN-HEX
 *   end NAME records N lost N why
 *
 * SIGTERM: what is left is copied, then it ends. The memory of a crashed guest can be read as
 * long as its domain is preserved; when the domain goes, so do we.
 *
 * Nothing that the guest's memory holds is believed: the sizes must be those of the symbol,
 * each index is bounded by them, names are written in hex, and no more than LARGEST bytes
 * and one line a slot ever leave here.
 */
#include "lab.h"

#define MAGIC "XLTRACE1"
#define LEAST_PAUSE_MS 5
#define FIRST_PAUSE_MS 20
#define MOST_PAUSE_MS 1000
#define GONE_MS 1000
#define LARGEST (1ull << 30)
#define SMALLEST_SIZE 4096
#define LARGEST_SIZE (64u << 20)
#define PIECE 1024
#define MOST_SLOTS 4096
#define TOGETHER 32		/* lines that are said at once */
#define LOST 0xffff

struct record {
	uint64_t counter;
	uint16_t event, task;
	uint32_t argument;
};

struct task {
	uint32_t id, priority;
	unsigned char name[16];
	uint64_t reserved;
};

struct header {
	char magic[8];
	uint32_t record_size, capacity;
	uint64_t head, frequency;
	uint32_t task_slots, tasks_used, tick_hz, reserved[5];
};

struct trace {
	const char *guest;
	uint32_t domain;
	size_t size;
	const struct header *header;	/* shared with the guest: read once, then check */
	const struct task *tasks;
	const struct record *records;
	uint32_t capacity, slots, tasks_said;
	uint64_t tail;			/* the next record to take */
	uint64_t taken, lost;
	int port;
};

static struct xs_handle *store;

/* All of it at once: an aligned doubleword load is atomic on CPUs with LPAE and on 64-bit ones. */
static uint64_t head_of(const struct header *header)
{
	uint64_t head;

#ifdef __aarch64__
	__asm__ volatile("ldr %0, %1\n\tdmb ish" : "=r"(head) : "Q"(header->head) : "memory");
#else
	__asm__ volatile("ldrd %Q0, %R0, %1\n\tdmb ish" : "=r"(head) : "Q"(header->head) : "memory");
#endif
	return head;
}

static uint32_t once(const uint32_t *word)
{
	return *(const volatile uint32_t *)word;
}

/* Whether the guest has set up its trace, and of exactly the size that we were told. */
static int begin(struct trace *t)
{
	struct header seen;

	memcpy(&seen, t->header, sizeof seen);
	if (memcmp(seen.magic, MAGIC, sizeof seen.magic))
		return 0;
	if (seen.record_size != sizeof(struct record) || !seen.capacity ||
	    seen.capacity & (seen.capacity - 1) || seen.capacity > t->size / sizeof(struct record) ||
	    seen.task_slots > MOST_SLOTS ||
	    sizeof seen + (uint64_t)seen.task_slots * sizeof(struct task) +
	    (uint64_t)seen.capacity * sizeof(struct record) != t->size)
		return 0;
	t->capacity = seen.capacity;
	t->slots = seen.task_slots;
	t->tasks = (const struct task *)(t->header + 1);
	t->records = (const struct record *)(t->tasks + t->slots);
	say("guest %s domain %u frequency %llu tick %u capacity %u", t->guest, t->domain,
	    (unsigned long long)seen.frequency, seen.tick_hz, seen.capacity);
	return 1;
}

/* Some of the tasks that are new in the table; whether there are more. */
static int say_tasks(struct trace *t)
{
	static char lines[TOGETHER * (2 * NAME_SIZE + 64)];
	uint32_t used = once(&t->header->tasks_used);
	size_t size = 0;

	for (int i = 0; i < TOGETHER && t->tasks_said < used && t->tasks_said < t->slots; i++) {
		struct task task = t->tasks[t->tasks_said++];

		size += sprintf(lines + size, "task %s %u %u ", t->guest, task.id, task.priority);
		for (size_t c = 0; c < sizeof task.name; c++)
			size += sprintf(lines + size, "%02x", task.name[c]);
		lines[size++] = '\n';
	}
	if (size)
		say_lines(lines, size);
	return t->tasks_said < used && t->tasks_said < t->slots;
}

static int put_records(struct trace *t, const struct record *records, size_t count)
{
	t->taken += count;
	return count ? put_all(t->port, records, count * sizeof *records) : 0;
}

static int put_lost(struct trace *t, uint64_t count, uint64_t counter)
{
	struct record lost = { .counter = counter, .event = LOST,
			       .argument = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count };

	t->lost += count;
	return put_records(t, &lost, 1);
}

/* How many of the records from `tail` on may have been written over since `head` was so.
 * The guest may be in the middle of writing the next one. */
static uint64_t overrun(const struct trace *t, uint64_t tail, uint64_t head)
{
	return head - tail < t->capacity ? 0 : head - tail - t->capacity + 1;
}

/* One piece of what is new; 1: there may be more, 0: no more now, -1: the port is gone. */
static int take(struct trace *t)
{
	static struct record piece[PIECE];
	uint64_t head = head_of(t->header), missing;
	size_t count;

	if (head < t->tail)		/* a guest that starts anew, or lies */
		t->tail = 0;
	missing = overrun(t, t->tail, head);
	count = head - t->tail - missing < PIECE ? head - t->tail - missing : PIECE;
	for (size_t i = 0; i < count; i++)
		piece[i] = t->records[(t->tail + missing + i) & (t->capacity - 1)];
	__asm__ volatile("dmb ish" ::: "memory");
	head = head_of(t->header);
	if (head >= t->tail && overrun(t, t->tail, head) > missing) {
		uint64_t more = overrun(t, t->tail, head) - missing;

		more = more < count ? more : count;
		memmove(piece, piece + more, (count - more) * sizeof *piece);
		missing += more;
		count -= more;
	}
	t->tail += missing + count;
	if (missing && put_lost(t, missing, count ? piece[0].counter : 0))
		return -1;
	if (put_records(t, piece, count))
		return -1;
	return count == PIECE;
}

/* All that is new now. A guest that writes faster than we read does not keep us for ever. */
static int drain(struct trace *t)
{
	int more = 1;

	for (uint32_t piece = 0; more > 0 && piece <= 2 * t->capacity / PIECE; piece++)
		more = take(t);
	while (say_tasks(t))
		;
	return more;
}

/* Wait for SIGTERM, so long; whether it came. */
static int told_to_end(unsigned ms)
{
	struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	return sigtimedwait(&set, NULL, &pause) == SIGTERM;
}

/* When to look again, from what came in the last pause: each look costs dom0 some time. */
static unsigned next_pause(const struct trace *t, unsigned pause, uint64_t came)
{
	if (came > t->capacity / 4)
		pause /= 2;
	else if (came < t->capacity / 16)
		pause *= 2;
	if (pause < LEAST_PAUSE_MS)
		return LEAST_PAUSE_MS;
	return pause > MOST_PAUSE_MS ? MOST_PAUSE_MS : pause;
}

/* Why it ended. */
static const char *follow(struct trace *t)
{
	unsigned pause = FIRST_PAUSE_MS, since = 0;

	for (;; since += pause) {
		int ending = told_to_end(pause);
		uint64_t before = t->tail;

		if (!t->capacity && !begin(t)) {
			if (ending)
				return "empty";
		} else if (drain(t) < 0) {
			return "port";
		} else if (ending) {
			return "complete";
		}
		if (t->taken * sizeof(struct record) > LARGEST)
			return "full";
		if (t->capacity)
			pause = next_pause(t, pause, t->tail - before);
		if (since < GONE_MS)
			continue;
		since = 0;
		if (store && !xs_is_domain_introduced(store, t->domain))
			return "gone";
	}
}

int main(int argc, char **argv)
{
	char path[sizeof PORTS + NAME_SIZE + 8];
	struct trace t = { 0 };
	const char *why;
	uint64_t address;
	sigset_t set;

	if (argc != 5 || strlen(argv[1]) >= NAME_SIZE)
		die("usage: lab-trace GUEST DOMAIN ADDRESS SIZE");
	t.guest = argv[1];
	t.domain = number(argv[2], 0x7fef);
	address = number(argv[3], UINT32_MAX);
	t.size = number(argv[4], LARGEST_SIZE);
	if (t.size < SMALLEST_SIZE || address % 8)
		die("lab-trace: not a trace: %s %s", argv[3], argv[4]);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	background(t.guest);		/* first: a guest's memory is not mapped in a child */
	snprintf(path, sizeof path, PORTS "/trace.%s", t.guest);
	t.port = open(path, O_WRONLY | O_CLOEXEC);
	t.header = (const void *)map_guest(t.domain, address, t.size, PROT_READ);
	if (t.port < 0 || !t.header)
		die("lab-trace: %s: %s", t.guest, t.port < 0 ? path : "its memory cannot be mapped");
	store = xs_open(0);
	ready();
	why = follow(&t);
	say("end %s records %llu lost %llu %s", t.guest, (unsigned long long)t.taken,
	    (unsigned long long)t.lost, why);
	finished();
	return 0;
}
