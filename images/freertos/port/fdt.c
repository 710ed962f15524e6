/* SPDX-License-Identifier: MIT */
/* Works before .bss is cleared: keeps nothing. */
#include "fdt.h"

#include <stddef.h>
#include <string.h>

enum { FDT_MAGIC = 0xd00dfeed, BEGIN_NODE = 1, END_NODE = 2, PROP = 3, NOP = 4, END = 9 };

struct header {
    uint32_t magic, totalsize, off_struct, off_strings, off_reserved, version;
};

static uint32_t be32(const void *at)
{
    const uint8_t *byte = at;

    return (uint32_t)byte[0] << 24 | byte[1] << 16 | byte[2] << 8 | byte[3];
}

static const uint8_t *aligned(const uint8_t *at)
{
    return (const uint8_t *)(((uintptr_t)at + 3) & ~(uintptr_t)3);
}

uint32_t fdt_size(const void *tree)
{
    const struct header *header = tree;

    if (!tree || ((uintptr_t)tree & 3) || be32(&header->magic) != FDT_MAGIC)
        return 0;
    return be32(&header->totalsize);
}

/* The token after the one at `at`; null after the last. */
static const uint8_t *next_token(const uint8_t *at)
{
    switch (be32(at)) {
    case BEGIN_NODE:
        return aligned(at + 4 + strlen((const char *)at + 4) + 1);
    case PROP:
        return aligned(at + 12 + be32(at + 4));
    case END_NODE:
    case NOP:
        return at + 4;
    default:
        return NULL;
    }
}

static const uint8_t *first_token(const void *tree)
{
    return (const uint8_t *)tree + be32(&((const struct header *)tree)->off_struct);
}

const void *fdt_property(const void *tree, const void *node, const char *name, uint32_t *length)
{
    const char *strings = (const char *)tree + be32(&((const struct header *)tree)->off_strings);
    const uint8_t *at = node ? next_token(node) : NULL;

    for (; at && (be32(at) == PROP || be32(at) == NOP); at = next_token(at)) {
        if (be32(at) == NOP || strcmp(strings + be32(at + 8), name) != 0)
            continue;
        if (length)
            *length = be32(at + 4);
        return at + 12;
    }
    return NULL;
}

static bool is_compatible(const void *tree, const void *node, const char *wanted)
{
    uint32_t length, at;
    const char *list = fdt_property(tree, node, "compatible", &length);

    for (at = 0; list && at < length; at += strlen(list + at) + 1)
        if (strcmp(list + at, wanted) == 0)
            return true;
    return false;
}

/* Such a node from the token `at` on. */
static const void *compatible_from(const void *tree, const uint8_t *at, const char *compatible)
{
    for (; at; at = next_token(at))
        if (be32(at) == BEGIN_NODE && is_compatible(tree, at, compatible))
            return at;
    return NULL;
}

const void *fdt_compatible(const void *tree, const char *compatible)
{
    return compatible_from(tree, first_token(tree), compatible);
}

const void *fdt_compatible_after(const void *tree, const void *node, const char *compatible)
{
    return compatible_from(tree, next_token(node), compatible);
}

/* "memory" names both "memory" and "memory@40000000". */
static bool is_named(const uint8_t *node, const char *wanted)
{
    const char *name = (const char *)node + 4;
    size_t length = strlen(wanted);

    return strncmp(name, wanted, length) == 0 && (name[length] == 0 || name[length] == '@');
}

const void *fdt_node(const void *tree, const char *name)
{
    int depth = 0;

    for (const uint8_t *at = first_token(tree); at; at = next_token(at)) {
        if (be32(at) == END_NODE)
            depth--;
        if (be32(at) != BEGIN_NODE)
            continue;
        if (depth++ == 1 && is_named(at, name))
            return at;
    }
    return NULL;
}

bool fdt_cell(const void *tree, const void *node, const char *name, uint32_t index, uint32_t *value)
{
    uint32_t length;
    const uint8_t *cells = fdt_property(tree, node, name, &length);

    if (!cells || index >= length / 4)
        return false;
    *value = be32(cells + 4 * index);
    return true;
}

/* A number of one or two cells. */
static bool wide_cell(const void *tree, const void *node, uint32_t index, uint32_t cells, uint64_t *value)
{
    uint32_t part;

    *value = 0;
    for (uint32_t i = 0; i < cells; i++) {
        if (!fdt_cell(tree, node, "reg", index + i, &part))
            return false;
        *value = *value << 32 | part;
    }
    return true;
}

bool fdt_reg(const void *tree, const void *node, uint32_t index, uint64_t *address, uint64_t *size)
{
    const void *root = first_token(tree);
    uint32_t address_cells = 2, size_cells = 1;

    fdt_cell(tree, root, "#address-cells", 0, &address_cells);
    fdt_cell(tree, root, "#size-cells", 0, &size_cells);
    index *= address_cells + size_cells;
    return wide_cell(tree, node, index, address_cells, address) &&
           wide_cell(tree, node, index + address_cells, size_cells, size);
}
