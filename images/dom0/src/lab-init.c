/*
 * lab-init: dom0's first process.
 *
 * Brings up what xl and the agent need, then keeps the agent, lab-fate and a shell on the
 * console running. The agent is started when everything is ready; a machine under the virtual clock
 * has no port for one. Last comes lab-steps, where the host may stop the machine. A shell
 * script did the same more slowly: in an emulated machine every new process is dear.
 *
 * A step that fails prints one line "lab: FAILED step: what happened" on the console, after
 * whatever the failing program itself said there, and switches the machine off. So does the
 * end of a daemon without which guests cannot be had or heard, and that cannot start again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define AGENT "org.qemu.guest_agent.0"
#define MODULES "/lib/modules"
#define RESPAWN_US 200000
#define AGENT_PORT "/dev/virtio-ports/" AGENT
#define FATES 10			/* so often lab-fate may end */
#define AGENT_US 5000		/* how often to look whether the agent is there, */
#define AGENT_LOOKS 400		/* and how many times */

typedef char *const arguments[];

static arguments consoled = { "/usr/sbin/lab-consoled", "times", NULL };
static arguments xenstored = { "/usr/sbin/xenstored", "--pid-file", "/run/xenstored.pid", NULL };
static arguments init_dom0 = { "/usr/sbin/xen-init-dom0", NULL };
static arguments xenconsoled = { "/usr/sbin/xenconsoled", "--log=guest",
				 "--pid-file=/run/xenconsoled.pid", NULL };
/* With hypervisor_log=1 on the kernel's command line, for a Xen that shows what guests print
 * on its own console. The FIFO is there before both ends open it. */
static arguments xenconsoled_all = { "/usr/sbin/xenconsoled", "--log=all",
				     "--pid-file=/run/xenconsoled.pid", NULL };
static arguments emergency = { "/usr/sbin/lab-emergency", NULL };
static arguments agent = { "/usr/sbin/qemu-ga", "--method=virtio-serial",
			   "--path=" AGENT_PORT, "--statedir=/run", NULL };
static arguments fate = { "/usr/sbin/lab-fate", NULL };
static arguments steps = { "/usr/sbin/lab-steps", NULL };
static arguments shell = { "-sh", NULL };

static void fail(const char *step, const char *format, ...)
{
	char words[256];
	va_list rest;

	va_start(rest, format);
	vsnprintf(words, sizeof words, format, rest);
	va_end(rest);
	dprintf(STDERR_FILENO, "lab: FAILED %s: %s\n", step, words);
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void attach(const char *type, const char *target)
{
	mkdir(target, 0755);
	if (mount(type, target, type, 0, NULL))
		fail("mounts", "%s on %s: %s", type, target, strerror(errno));
}

/* Insert the modules named in the list, which has them in the order of their needs. */
static void insert_modules(void)
{
	char name[64], path[sizeof MODULES + sizeof name + 4];
	FILE *order = fopen(MODULES "/order", "r");

	if (!order)
		fail("modules", MODULES "/order: %s", strerror(errno));
	while (fgets(name, sizeof name, order)) {
		int file;

		name[strcspn(name, "\n")] = 0;
		snprintf(path, sizeof path, MODULES "/%s.ko", name);
		file = open(path, O_RDONLY | O_CLOEXEC);
		if (file < 0 || (syscall(SYS_finit_module, file, "", 0) && errno != EEXIST))
			fail("modules", "%s: %s", path, strerror(errno));
		close(file);
	}
	fclose(order);
}

static pid_t start(arguments argv)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	dup2(open("/dev/null", O_RDWR), STDIN_FILENO);
	dup2(STDIN_FILENO, STDOUT_FILENO);
	execv(argv[0], argv);
	_exit(127);
}

static void fail_of(const char *program, int status)
{
	if (WIFSIGNALED(status))
		fail(program, "killed by signal %d", WTERMSIG(status));
	fail(program, "exit status %d", WEXITSTATUS(status));
}

/* Wait until a program, or its parent part if it is a daemon, has ended well. */
static void finish(pid_t pid, arguments argv)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		fail(argv[0], "%s", strerror(errno));
	if (status)
		fail_of(argv[0], status);
}

/* Wait until a child, or an orphan, has ended; fail if it is a daemon that must not end.
 * Nobody but itself knows its number: its name is read while it is a zombie. (What ends well
 * is a daemon's parent part.) */
static pid_t wait_for_one(void)
{
	static const char *const daemons[] = { "xenstored", "xenconsoled", "lab-consoled" };
	siginfo_t ended = { 0 };
	char path[32], name[32] = "";
	int status = 0, file;
	ssize_t got;

	if (waitid(P_ALL, 0, &ended, WEXITED | WNOWAIT))
		return 0;
	snprintf(path, sizeof path, "/proc/%d/comm", (int)ended.si_pid);
	file = open(path, O_RDONLY | O_CLOEXEC);
	got = file < 0 ? 0 : read(file, name, sizeof name - 1);
	name[got > 0 ? got : 0] = 0;
	name[strcspn(name, "\n")] = 0;
	close(file);
	waitpid(ended.si_pid, &status, 0);
	for (unsigned i = 0; i < sizeof daemons / sizeof *daemons; i++)
		if (status && !strcmp(name, daemons[i]))
			fail_of(name, status);
	return ended.si_pid;
}

/* The terminal behind /dev/console, which alone can be a shell's controlling terminal. */
static void console_path(char *path, size_t size)
{
	char names[64] = "console", *last;
	int fd = open("/sys/class/tty/console/active", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, names, sizeof names - 1);

	if (got > 0)
		names[got] = 0;
	close(fd);
	names[strcspn(names, "\n")] = 0;
	last = strrchr(names, ' ');
	snprintf(path, size, "/dev/%s", last ? last + 1 : names);
}

/* A shell on the console for whoever presses Enter; until then it is one quiet process. */
static pid_t start_shell(void)
{
	char path[80], key = 0;
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	console_path(path, sizeof path);
	setsid();
	fd = open(path, O_RDWR);
	ioctl(fd, TIOCSCTTY, 1);
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	dprintf(fd, "\nlab: dom0 is ready; press Enter for a shell\n");
	while (read(fd, &key, 1) == 1 && key != '\n')
		;
	setenv("HOME", "/root", 1);
	setenv("TERM", "vt100", 0);
	if (chdir("/root") == 0)
		execv("/bin/sh", shell);
	_exit(127);
}

/* What a link of lab-consoled's leads to. */
static int realpath_of(const char *link, char *target, size_t size)
{
	ssize_t got = readlink(link, target, size - 1);

	target[got > 0 ? got : 0] = 0;
	return got > 0;
}

static int has_open(pid_t pid, const char *device)
{
	char path[64], target[64];

	for (int fd = 3; fd < 16; fd++) {
		ssize_t size;

		snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
		size = readlink(path, target, sizeof target - 1);
		target[size > 0 ? size : 0] = 0;
		if (size > 0 && !strcmp(target, device))
			return 1;
	}
	return 0;
}

/* The agent, if the machine has a port for it. It is ready when it holds its port. */
static pid_t start_agent(void)
{
	char device[64];
	pid_t pid;

	if (!realpath_of(AGENT_PORT, device, sizeof device))
		return 0;
	pid = start(agent);
	for (int i = 0; i < AGENT_LOOKS && !has_open(pid, device); i++)
		usleep(AGENT_US);
	return pid;
}

static void on_signal(int number)
{
	sync();
	reboot(number == SIGTERM ? RB_AUTOBOOT : RB_POWER_OFF);
}

int main(void)
{
	pid_t consoles, names, log, fate_pid, agent_pid, shell_pid, emergency_pid = 0;
	int fates = 0, all = getenv("hypervisor_log") != NULL;

	setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin", 1);
	signal(SIGTERM, on_signal);	/* busybox reboot */
	signal(SIGUSR1, on_signal);	/* busybox halt */
	signal(SIGUSR2, on_signal);	/* busybox poweroff */
	attach("proc", "/proc");
	attach("sysfs", "/sys");
	attach("devtmpfs", "/dev");
	attach("devpts", "/dev/pts");
	insert_modules();
	attach("xenfs", "/proc/xen");
	consoles = start(consoled);
	finish(start(xenstored), xenstored);
	names = start(init_dom0);
	if (all && !mkfifo("/var/log/xen/console/hypervisor.log", 0600))
		emergency_pid = start(emergency);
	log = start(all ? xenconsoled_all : xenconsoled);
	finish(names, init_dom0);
	finish(log, xenconsoled);
	finish(consoles, consoled);
	fate_pid = start(fate);
	agent_pid = start_agent();
	shell_pid = start_shell();
	start(steps);
	for (;;) {
		pid_t ended = wait_for_one();

		if (ended == fate_pid && ++fates == FATES)
			fail("lab-fate", "it ended %d times", fates);
		if (ended == agent_pid || ended == shell_pid || ended == emergency_pid ||
		    ended == fate_pid)
			usleep(RESPAWN_US);
		if (ended == agent_pid && agent_pid)
			agent_pid = start(agent);
		else if (ended == shell_pid)
			shell_pid = start_shell();
		else if (ended == fate_pid)
			fate_pid = start(fate);
		else if (ended == emergency_pid)
			emergency_pid = start(emergency);
	}
}
