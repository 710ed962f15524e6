/* SPDX-License-Identifier: MIT */
/* Reads a flattened device tree, as far as a Xen guest needs it. */
#ifndef FDT_H
#define FDT_H

#include <stdbool.h>
#include <stdint.h>

/* Size in bytes of the tree at `tree`, 0 if there is none. */
uint32_t fdt_size(const void *tree);

/* First node of this `compatible`, or the child of the root with this name (without @unit); null if none. */
const void *fdt_compatible(const void *tree, const char *compatible);
const void *fdt_node(const void *tree, const char *name);

/* The next node of this `compatible` after `node`. */
const void *fdt_compatible_after(const void *tree, const void *node, const char *compatible);

/* A property's bytes and length; null if the node has none. */
const void *fdt_property(const void *tree, const void *node, const char *name, uint32_t *length);

/* Cell `index` of a property of 32-bit cells; false if it has fewer. */
bool fdt_cell(const void *tree, const void *node, const char *name, uint32_t index, uint32_t *value);

/* Entry `index` of `reg`, for a child of the root, or of a node with as many cells as the root. */
bool fdt_reg(const void *tree, const void *node, uint32_t index, uint64_t *address, uint64_t *size);

#endif
