"""The writer of LZ4."""

from __future__ import annotations

import struct

from hypothesis import example, given
from hypothesis import strategies as st

from lab.images import lz4


def unpacked(frame: bytes) -> bytes:
    """A plain reader of the legacy frame, for comparison."""
    assert frame[:4] == struct.pack("<I", lz4.MAGIC)
    out, at = b"", 4
    while at < len(frame):
        (size,) = struct.unpack_from("<I", frame, at)
        out += unpacked_block(frame[at + 4 : at + 4 + size])
        at += 4 + size
    return out


def unpacked_block(block: bytes) -> bytes:
    out, at = bytearray(), 0

    def length(start: int) -> int:
        nonlocal at
        while start >= 15:
            start += block[at]
            at += 1
            if block[at - 1] != 255:
                break
        return start

    while True:
        token = block[at]
        at += 1
        literals = length(token >> 4)
        out += block[at : at + literals]
        at += literals
        if at == len(block):
            return bytes(out)
        (offset,) = struct.unpack_from("<H", block, at)
        assert 0 < offset <= len(out)
        at += 2
        for _ in range(length(token & 15) + 4):
            out.append(out[-offset])


PIECES = st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([b"ab" * 40, b"\0" * 300])))


@given(PIECES.map(b"".join))
@example(b"")
@example(b"x" * 100_000)
@example(bytes(range(256)) * 300)
def test_what_is_packed_is_unpacked(data: bytes) -> None:
    """Whatever the data, the frame holds it."""
    assert unpacked(lz4.compress(data)) == data


def test_repetition_gets_small() -> None:
    """The writer really compresses."""
    assert len(lz4.compress(b"a line of text\n" * 1000)) < 200
