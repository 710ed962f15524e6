/*
 * lab-busy: makes dom0 compute without end, at the lowest priority of its own: to Xen dom0
 * always wants to run, and what runs in dom0 is hardly hindered.
 */
#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <unistd.h>

int main(void)
{
	if (fork())
		return 0;
	setsid();
	for (int i = 0; i < 3; i++)
		dup2(open("/dev/null", O_RDWR), i);
	if (nice(19) < 0)
		return 1;
	for (;;)
		;
}
