/*
 * The window: memory of the machine that is a file for the host, behind all other memory.
 *
 * What the host writes into the file is there at once, and the other way round. Xen gives the
 * memory to dom0, whose Linux keeps away from it (/reserved-memory in the device tree); so only
 * those use it who map it here, and only when the host has said what is in it.
 *
 * It is mapped as device memory: accesses must be aligned. read(2) and write(2) to and from a
 * page's beginning are, and so is what copies words.
 */
#ifndef WINDOW_H
#define WINDOW_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#define WINDOW_NODE "/proc/device-tree/reserved-memory/lab-window/reg"
#define WINDOW_PAGE 4096u
_Static_assert(sizeof(off_t) == 8, "define _FILE_OFFSET_BITS 64 before all headers");

struct window {
	char *at;
	uint32_t size;
};

static uint64_t window_cells(const unsigned char *cells)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | cells[i];
	return value;
}

/* Map it; 0 or errno. */
static int window_open(struct window *window)
{
	unsigned char reg[16];
	int node = open(WINDOW_NODE, O_RDONLY | O_CLOEXEC), memory;
	ssize_t got = node < 0 ? -1 : read(node, reg, sizeof reg);

	if (node >= 0)
		close(node);
	if (got != (ssize_t)sizeof reg)
		return ENODEV;
	memory = open("/dev/mem", O_RDWR | O_SYNC | O_CLOEXEC);
	if (memory < 0)
		return errno;
	window->size = window_cells(reg + 8);
	window->at = mmap(NULL, window->size, PROT_READ | PROT_WRITE, MAP_SHARED, memory,
			  window_cells(reg));
	close(memory);
	return window->at == MAP_FAILED ? errno : 0;
}

/* Its bytes [start, start + size) into the file `path` at `offset`, where the file ends then;
 * 0 or errno. */
static int window_to_file(const struct window *window, uint32_t start, uint32_t size,
			  const char *path, uint64_t offset)
{
	int fd, error = 0;

	if (start > window->size || size > window->size - start)
		return EINVAL;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return errno;
	if (ftruncate(fd, offset))
		error = errno;
	for (uint32_t done = 0; done < size && !error;) {
		ssize_t more = pwrite(fd, window->at + start + done, size - done, offset + done);

		error = more < 0 ? errno : more == 0 ? ENOSPC : 0;
		done += error ? 0 : more;
	}
	close(fd);
	return error;
}

/* The file's bytes from `offset` on into the window, as many as there are or go in; 0 or errno. */
static int window_from_file(const struct window *window, const char *path, uint64_t offset,
			    uint32_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = 1;

	*size = 0;
	if (fd < 0)
		return errno;
	while (*size < window->size && got > 0) {
		got = pread(fd, window->at + *size, window->size - *size, offset + *size);
		*size += got > 0 ? got : 0;
	}
	got = got < 0 ? errno : 0;
	close(fd);
	return got;
}

#endif
