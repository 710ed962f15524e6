/*
 * lab-trace-stop [NAME]: ends what carries traces, all of it or that of one guest ("xen" is
 * Xen's), and waits until each has written its last record; at most LIMIT_MS.
 */
#include "lab.h"
#include <glob.h>

#define LIMIT_MS 20000
#define STEP_MS 10

/* Its pid, asked with this signal; 0 if there is none any more. */
static int ask(const char *path, int signal)
{
	FILE *file = fopen(path, "r");
	int pid = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%d", &pid) != 1 || pid <= 1 || kill(pid, signal)) {
		unlink(path);
		pid = 0;
	}
	fclose(file);
	return pid;
}

int main(int argc, char **argv)
{
	char pattern[NAME_SIZE + 32];
	glob_t found;
	int status = 0;

	snprintf(pattern, sizeof pattern, "/run/lab-trace.%.*s", NAME_SIZE, argc > 1 ? argv[1] : "*");
	if (glob(pattern, 0, NULL, &found))
		return 0;
	for (size_t i = 0; i < found.gl_pathc; i++)
		ask(found.gl_pathv[i], SIGTERM);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		int waited = 0;

		for (; ask(found.gl_pathv[i], 0) && waited < LIMIT_MS; waited += STEP_MS)
			usleep(STEP_MS * 1000);
		if (waited >= LIMIT_MS)
			status = 1;
	}
	if (status)
		fprintf(stderr, "lab-trace-stop: not all ended within %d ms\n", LIMIT_MS);
	return status;
}
