/*
 * lab-window in PATH OFFSET SIZE: so many bytes of the window become the file's from OFFSET on,
 * and it ends there.
 * lab-window out PATH OFFSET: the file's bytes from OFFSET on go into the window; says how many.
 * Its exit status is 0 or errno.
 */
#define _FILE_OFFSET_BITS 64
#include "lab.h"
#include "window.h"

int main(int argc, char **argv)
{
	struct window window = { 0 };
	int error = window_open(&window), in = argc == 5 && !strcmp(argv[1], "in");
	uint32_t size;

	if (!in && (argc != 4 || strcmp(argv[1], "out")))
		die("usage: lab-window in PATH OFFSET SIZE | out PATH OFFSET");
	if (error)
		return error;
	if (in)
		error = window_to_file(&window, 0, number(argv[4], UINT32_MAX), argv[2],
				       number(argv[3], INT64_MAX));
	else
		error = window_from_file(&window, argv[2], number(argv[3], INT64_MAX), &size);
	if (!error && !in)
		printf("%u\n", size);
	return error;
}
