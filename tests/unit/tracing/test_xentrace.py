"""Xen's records are found exactly, and in order, in any file."""

from __future__ import annotations

import io
import random
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.trace import record_headers, xentrace
from lab.trace.events import Reading, XenEventKind, XenEvents
from tracing.encode import (
    BLOCKED,
    LOST,
    RUNNABLE,
    RUNNING,
    WRAP,
    XenTrace,
    record,
    window,
)

SAMPLE = Path(__file__).parents[2] / "data" / "xen.bin"


def decode(raw: bytes) -> tuple[XenEvents, Reading]:
    reading = Reading()
    return XenEvents.join(list(xentrace.read_stream(io.BytesIO(raw), reading))), reading


def plain_starts(raw: bytes) -> list[int]:
    """Where whole records begin, found word by word, as a plain reader does."""
    found, here = [], 0
    count = len(raw) // 4
    while here < count:
        (header,) = struct.unpack_from("<I", raw, 4 * here)
        end = here + 1 + (header >> 28 & 7) + 2 * (header >> 31)
        if end > count:
            break
        found.append(here)
        here = end
    return found


def test_the_sample_is_whole() -> None:
    """A trace of a lab with two PCPUs. The numbers come from a plain reader."""
    raw = SAMPLE.read_bytes()
    events, reading = decode(raw)
    assert (reading.records, reading.end, reading.damage) == (len(plain_starts(raw)), len(raw), "")
    assert reading.lost == reading.disordered == 0
    counts: Counter[int] = Counter()
    for start in plain_starts(raw):
        counts[struct.unpack_from("<I", raw, 4 * start)[0] & 0x0FFFFFFF] += 1
    assert (events.kind == XenEventKind.SWITCH).sum() == counts[0x2800A]
    assert (events.kind == XenEventKind.WAKE).sum() == counts[0x28004]
    assert (events.kind == XenEventKind.RUNSTATE).sum() == sum(
        number for event, number in counts.items() if event & ~0x330 == 0x21001
    )


def test_events_of_all_pcpus_are_in_order() -> None:
    events, _ = decode(SAMPLE.read_bytes())
    assert (np.diff(events.counter) >= 0).all()
    assert set(events.pcpu.tolist()) == {0, 1}


@given(st.binary(max_size=4000))
def test_any_words_are_parted_as_a_plain_reader_does(raw: bytes) -> None:
    raw = raw[: len(raw) // 4 * 4]
    found, end = record_headers.RecordFinder().find(np.frombuffer(raw, "<u4"), [])
    assert found.tolist() == plain_starts(raw)
    assert end * 4 <= len(raw)


@given(
    st.integers(0, 2**32 - 1),
    st.lists(
        st.sampled_from(
            [0x8002800A, 0x20000000, 0xB0021101, 0x0001F003, 7, 0xFFFFFFFF, 0x90021021]
        ),
        max_size=300,
    ),
)
def test_payload_that_looks_like_headers_deceives_nobody(seed: int, some: list[int]) -> None:
    """The same words are headers in one place and payload in another."""
    rest = random.Random(seed)
    raw = b"".join(struct.pack("<I", rest.choice([word, rest.getrandbits(32)])) for word in some)
    found, _ = record_headers.RecordFinder().find(np.frombuffer(raw, "<u4"), [])
    assert found.tolist() == plain_starts(raw)


def test_classes_that_are_met_often_are_learnt() -> None:
    """Records of other classes than the scheduler's give the same result, and later faster."""
    raw = b"".join(record(0x10F004, n, 0x8002800A, time=n) for n in range(500))
    finder = record_headers.RecordFinder()
    array = np.frombuffer(raw, "<u4")
    for _ in range(2):
        assert finder.find(array, [])[0].tolist() == plain_starts(raw)
    assert len(finder._looks) > 1


def test_what_an_event_says() -> None:
    trace = XenTrace()
    trace.wake(100, 3, (5, 1))
    trace.switch(130, 3, (0x7FFF, 3), (5, 1), RUNNABLE)
    trace.switch(150, 3, (5, 1), (0x7FFF, 3), BLOCKED)
    events, _ = decode(trace.bytes())
    rows = list(zip(events.counter.tolist(), events.kind.tolist(), events.vcpu.tolist(),
                    events.detail.tolist(), strict=True))  # fmt: skip
    me, idle = 5 << 16 | 1, 0x7FFF << 16 | 3
    assert rows == [
        (100, XenEventKind.WAKE, me, 0),
        (100, XenEventKind.RUNSTATE, me, BLOCKED << 4 | RUNNABLE),
        (130, XenEventKind.SWITCH, me, idle),
        (130, XenEventKind.RUNSTATE, idle, RUNNING << 4 | RUNNABLE),
        (130, XenEventKind.RUNSTATE, me, RUNNABLE << 4 | RUNNING),
        (150, XenEventKind.SWITCH, idle, me),
        (150, XenEventKind.RUNSTATE, me, RUNNING << 4 | BLOCKED),
        (150, XenEventKind.RUNSTATE, idle, RUNNABLE << 4 | RUNNING),
    ]
    assert set(events.pcpu.tolist()) == {3}


def test_lost_records_are_counted_and_leave_a_gap() -> None:
    """TRC_LOST_RECORDS: how many, who ran (domain low), the time of the first one."""
    lost = record(LOST, 17, 0x7FFF, 1000, 2, time=(2 << 32) + 5000)
    events, reading = decode(window(1, lost + record(WRAP, 0, 0, 0)))
    assert len(events) == 0
    assert reading.lost == 17
    assert np.concatenate(reading.gaps).tolist() == [[1, (2 << 32) + 1000, (2 << 32) + 5000, 17]]


def test_a_file_that_is_cut_off_yields_what_is_whole() -> None:
    raw = SAMPLE.read_bytes()[:4000]
    whole, _ = decode(raw)
    for length in range(3960, 4000):
        events, reading = decode(raw[:length])
        assert reading.damage == "cut off"
        assert reading.end <= length < reading.end + 44
        assert events.counter.tolist() == whole.counter.tolist()[: len(events)]


@pytest.mark.parametrize("portion", [64, 100, 257, 4096])
def test_portions_make_no_difference(portion: int, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = SAMPLE.read_bytes()
    expected, seen = decode(raw)
    monkeypatch.setattr(xentrace, "PORTION", portion)
    events, reading = decode(raw)
    assert reading.records == seen.records
    assert reading.disordered == 0
    for name in ("counter", "kind", "pcpu", "vcpu", "detail"):
        assert (getattr(events, name) == getattr(expected, name)).all(), name


def test_damage_is_named_and_ends_it() -> None:
    good = window(0, record(0x28004, 1, 0, time=5))
    for bad in (
        window(5000, b""),  # no such PCPU
        record(0x28004, 1, 0, time=9),  # no window
        struct.pack("<III", 0x2001F003, 0, 0xFFFFFFFC),  # larger than any buffer
        struct.pack("<III", 0x2001F003, 0, 7),  # not whole words
        struct.pack("<III", 0x2001F003, 0, 8) + record(0x28004, 1, 0, time=9),  # reaches over
    ):
        events, reading = decode(good + bad + good)
        assert len(events) == 1
        assert reading.damage
        assert reading.damage != "cut off"
        assert len(good) <= reading.end <= len(good) + 12


@given(st.binary(max_size=3000), st.integers(0, 2000))
def test_no_file_hurts(noise: bytes, place: int) -> None:
    """Damage anywhere gives no error, and no invented event before it."""
    raw = bytearray(SAMPLE.read_bytes()[:20000])
    raw[place * 4 : place * 4 + len(noise)] = noise
    events, reading = decode(bytes(raw))
    assert reading.end <= len(raw)
    assert len(events) <= reading.records
    decode(noise)


def test_late_events_are_kept_and_counted() -> None:
    """If a file's rounds are no rounds, load() still puts its events in order."""
    raw = b"".join(
        window(pcpu, record(0x28004, 1, 0, time=time))
        for pcpu, time in ((0, 900), (0, 910), (0, 920), (0, 930), (1, 5))
    )
    events, reading = decode(raw)
    assert len(events) == 5
    assert reading.disordered in (0, 1)
