/* SPDX-License-Identifier: MIT */
/*
 * The device-tree loader of Xen (kernel_zimage_place in xen/arch/arm/kernel.c) places a zImage
 * as near to the end of the first bank as a multiple of 2 MiB allows, without a thought of .bss.
 * So the image goes down to the start of memory, where `xl` would have loaded it.
 *
 * Built position independent. Caches and floating point are off: no unaligned access, no NEON,
 * no variables.
 */
#include "place.h"

#include <stdbool.h>

#include "fdt.h"
#include "vpl011.h"

#define MIB 0x100000u

static bool overlap(uint64_t one, uint64_t size, uint64_t other, uint64_t other_size)
{
    return one < other + other_size && other < one + size;
}

static void say(const void *tree, const char *text)
{
    uint64_t uart = vpl011_find(tree);

    if (uart) {
        vpl011_say((volatile void *)(uint32_t)uart, "guest: cannot start: ");
        vpl011_say((volatile void *)(uint32_t)uart, text);
        vpl011_say((volatile void *)(uint32_t)uart, "\n");
    }
}

uint32_t place_image(const void *tree, uint32_t here, const struct extent *image)
{
    uint32_t tree_size = fdt_size(tree);
    uint64_t base, size, target;

    if (!tree_size || !fdt_reg(tree, fdt_node(tree, "memory"), 0, &base, &size)) {
        say(tree_size ? tree : NULL, "no memory node");
        return 0;
    }
    target = ((base + MIB - 1) & ~(uint64_t)(MIB - 1)) + image->linked % MIB;
    if (target + image->image_size > base + size || (target + image->image_size) >> 32)
        say(tree, "the domain has too little memory for this image");
    else if (overlap(target, image->image_size, (uintptr_t)tree, tree_size))
        say(tree, "the device tree lies inside the image: give the domain more memory");
    else if (overlap(target, image->file_size, here, image->file_size))
        say(tree, "the image lies too near to where it belongs: give the domain more memory");
    else
        return (uint32_t)target;
    return 0;
}
