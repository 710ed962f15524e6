"""Writes LZ4 in the legacy frame format, which Linux accepts for an initramfs.

Of the formats that the kernel unpacks, this one takes an emulated machine the least time. The lab
has its own compressor, so that the bytes do not depend on the version of another one.
Format: lz4_Block_format.md and lz4_Frame_format.md ("legacy frame") of the LZ4 project.
"""

from __future__ import annotations

import struct
from functools import partial

MAGIC = 0x184C_2102

#: The most bytes that one block may unpack to (lib/decompress_unlz4.c).
PIECE = 8 << 20

#: In bytes: a match has at least 4, reaches back at most 65535, ends at least 5 before the end, and
#: starts more than 12 before the end.
SHORTEST, REACH, LITERAL_END, LAST_MATCH = 4, 65535, 5, 12

#: Bytes that are compared at once.
WORD = 8

#: After every ``PATIENCE`` bytes without a match, the search step grows by one byte, up to
#: ``STRIDE``. A smaller ``PATIENCE`` or a larger ``STRIDE`` is faster, but the result is larger. 64
#: and 16 save 6 % more in twice the time.
PATIENCE, STRIDE = 8, 16

_number = partial(int.from_bytes, byteorder="little")


def compress(data: bytes) -> bytes:
    """``data`` as a legacy frame."""
    blocks = [_block(data[at : at + PIECE]) for at in range(0, len(data), PIECE)]
    sized = (struct.pack("<I", len(block)) + block for block in blocks)
    return struct.pack("<I", MAGIC) + b"".join(sized)


def _block(data: bytes) -> bytes:
    out = bytearray()
    seen: dict[bytes, int] = {}
    find, last, never = seen.get, len(data) - LAST_MATCH, -REACH - 1
    anchor = at = 0
    while at < last:
        key = data[at : at + SHORTEST]
        before = find(key, never)
        seen[key] = at
        if at - before > REACH:
            step = 1 + (at - anchor) // PATIENCE
            at += step if step < STRIDE else STRIDE
            continue
        length = _match(data, before, at)
        _emit(out, data[anchor:at], at - before, length)
        at = anchor = at + length
    _emit(out, data[anchor:], 0, SHORTEST)
    return bytes(out)


def _match(data: bytes, before: int, at: int) -> int:
    """How many bytes are the same at both places. The first four are known to be."""
    most = len(data) - LITERAL_END - at
    here, there = at + SHORTEST, before + SHORTEST
    differs = _number(data[here : here + WORD]) ^ _number(data[there : there + WORD])
    if differs:  # so most matches end
        return min(SHORTEST + ((differs & -differs).bit_length() - 1) // 8, most)
    length, step = min(SHORTEST + WORD, most), 32
    while step:
        same = data[before + length : before + length + step]
        if length + step <= most and same == data[at + length : at + length + step]:
            length += step
        else:
            step //= 2
    return length


def _emit(out: bytearray, literals: bytes, offset: int, length: int) -> None:
    """Write one sequence: literals, then a match. Offset 0: the last sequence, without a match."""
    extra, count = length - SHORTEST, len(literals)
    out.append((count if count < 15 else 15) << 4 | (extra if extra < 15 else 15))
    if count >= 15:
        _emit_length(out, count)
    out += literals
    if offset:
        out += offset.to_bytes(2, "little")
        if extra >= 15:
            _emit_length(out, extra)


def _emit_length(out: bytearray, length: int) -> None:
    full, rest = divmod(length - 15, 255)
    out += b"\xff" * full
    out.append(rest)
