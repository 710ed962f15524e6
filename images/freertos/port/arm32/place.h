/* SPDX-License-Identifier: MIT */
/* Where the image belongs in the domain's memory. Runs before the MMU is on, wherever Xen loaded it. */
#ifndef PLACE_H
#define PLACE_H

#include <stdint.h>

struct extent {
    uint32_t linked, file_size, image_size;     /* image: the file, stacks, .bss */
};

/*
 * The physical address to which the image must be copied from `here`: the start of memory, a
 * whole number of MiB away from where it was linked. 0: it does not fit; the reason was said on
 * the PL011, if Xen emulates one.
 */
uint32_t place_image(const void *tree, uint32_t here, const struct extent *image);

#endif
