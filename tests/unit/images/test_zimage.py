"""Taking a compressed kernel out of its zImage."""

from __future__ import annotations

import random
import struct

import pytest
import samples

from lab.images import zimage

KERNEL = random.Random(1).randbytes(5000)


def test_unwrap_finds_the_stream_behind_a_false_match() -> None:
    """The XZ magic occurs earlier, in code; sizes and offset come from the table."""
    found = zimage.unwrap(samples.vmlinuz(KERNEL))
    assert found == zimage.Unwrapped(KERNEL, 0x208000, 0x1000)


def changed(data: bytes, offset: int, word: int) -> bytes:
    raw = bytearray(data)
    struct.pack_into("<I", raw, offset, word)
    return bytes(raw)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\0" * 100, "no zImage header"),
        (changed(samples.vmlinuz(KERNEL), 0x34, 0), "no table"),
        (changed(samples.vmlinuz(KERNEL), 0x38, 1 << 30), "no table"),
        (samples.vmlinuz(KERNEL, size=5), "its zImage says 5"),
        (samples.vmlinuz(KERNEL).replace(b"\4YZ", b"\4YX"), "no XZ stream"),
        (samples.vmlinuz(KERNEL, text_offset=0x208004), "unexpected text offset"),
        (samples.vmlinuz(KERNEL, text_offset=zimage.WINDOW - 4096), "cannot be copied"),
    ],
)
def test_unexpected_kernels_say_what_is_odd(data: bytes, words: str) -> None:
    """The caller falls back to the packaged kernel and can say why."""
    with pytest.raises(ValueError, match=words):
        zimage.unwrap(data)


def test_wrap_takes_only_a_header() -> None:
    """The stub must be a zImage header in whole blocks of what it copies."""
    stub = changed(b"\0" * 96, 0x24, zimage.ZIMAGE_MAGIC)
    assert zimage.wrap(stub, b"kernel") == stub + b"kernel"
    for wrong in (stub[:-4], b"\0" * 96):
        with pytest.raises(ValueError, match="stub"):
            zimage.wrap(wrong, b"kernel")


def test_padded_to_whole_blocks() -> None:
    """The stub copies 32 bytes at a time."""
    assert [len(zimage.padded(b"x" * size)) for size in (0, 1, 32, 33)] == [0, 32, 32, 64]
