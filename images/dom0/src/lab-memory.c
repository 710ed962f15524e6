/*
 * lab-memory DOMAIN ADDRESS LENGTH: writes so many bytes of a guest's memory, from a guest
 * physical address on, to standard output. The guest may run, be paused or have crashed.
 */
#include "lab.h"

#define LARGEST (256u << 20)
#define STEP (256 * PAGE)

int main(int argc, char **argv)
{
	uint32_t domain;
	uint64_t address, left;

	if (argc != 4)
		die("usage: lab-memory DOMAIN ADDRESS LENGTH");
	domain = number(argv[1], 0x7fef);
	address = number(argv[2], UINT32_MAX);
	left = number(argv[3], LARGEST);
	while (left) {
		size_t size = STEP - address % PAGE;
		const char *bytes;

		if (size > left)
			size = left;
		bytes = map_guest(domain, address, size, PROT_READ);
		if (!bytes)
			die("domain %u has no memory at %#llx", domain,
			    (unsigned long long)address);
		if (put_all(STDOUT_FILENO, bytes, size))
			die("cannot write: %s", strerror(errno));
		unmap_guest(bytes, size);
		address += size;
		left -= size;
	}
	return 0;
}
