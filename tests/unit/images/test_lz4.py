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


def plainly_compressed(data: bytes) -> bytes:
    """One block, as the module says that it is made, written as plainly as can be."""
    out, seen, anchor, at = bytearray(), dict[bytes, int](), 0, 0

    def length_of(value: int) -> bytes:
        full, rest = divmod(value - 15, 255)
        return b"\xff" * full + bytes([rest]) if value >= 15 else b""

    def emit(literals: bytes, offset: int, extra: int) -> None:
        out.append(min(len(literals), 15) << 4 | min(extra, 15))
        out.extend(length_of(len(literals)) + literals)
        out.extend(struct.pack("<H", offset) + length_of(extra) if offset else b"")

    while at < len(data) - lz4.LAST_MATCH:
        before = seen.get(data[at : at + 4], -lz4.REACH - 1)
        seen[data[at : at + 4]] = at
        if at - before > lz4.REACH:
            at += min(1 + (at - anchor) // lz4.PATIENCE, lz4.STRIDE)
            continue
        end = at
        while end < len(data) - lz4.LITERAL_END and data[before + end - at] == data[end]:
            end += 1
        emit(data[anchor:at], at - before, end - at - 4)
        at = anchor = end
    emit(data[anchor:], 0, 0)
    return bytes(out)


@given(PIECES.map(b"".join))
@example(bytes(70_000) + bytes(range(256)) * 2 + bytes(30))
@example(b"0123456789abcdefghij" * 2 + b"0123456789abcde")
def test_a_faster_search_finds_the_same(data: bytes) -> None:
    """The bytes of an image depend on every match, so these must never change."""
    block = plainly_compressed(data)
    frame = struct.pack("<II", lz4.MAGIC, len(block)) + block
    assert lz4.compress(data) == (frame if data else frame[:4])
