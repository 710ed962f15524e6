"""A guest's records are read correctly, and hostile ones do no harm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lab.trace import guest as guests
from lab.trace import jobs, stats, tracks
from lab.trace.guest import RECORD, GuestEvent, TracedGuest
from lab.trace.timeline import CounterClock, Timeline
from tracing.encode import guest_records, write_guest

IN, OUT, READY, TICK, ENTER, EXIT = 1, 2, 3, 17, 18, 19
LOST = 65535
ROW = st.tuples(
    st.integers(0, 2**64 - 1),
    st.sampled_from([*(event.value for event in GuestEvent), 0, 99]),
    st.integers(0, 65535) | st.integers(0, 3),
    st.integers(0, 2**32 - 1),
)


def build(rows: list[tuple[int, int, int, int]], **described: Any) -> TracedGuest:
    return guests.build("g", np.frombuffer(guest_records(rows), RECORD), described)


def test_tasks_run_from_switch_to_switch() -> None:
    guest = build(
        [(10, IN, 1, 5), (20, OUT, 1, 0), (21, IN, 2, 3), (30, IN, 1, 5), (50, TICK, 0, 1)]
    )
    spans, who = guests.running(guest)
    assert spans.tolist() == [[10, 20], [21, 30], [30, 50]]
    assert who.tolist() == [1, 2, 1]


def test_a_stretch_ends_where_records_were_lost() -> None:
    """LOST comes after the last record that was kept; from there on nothing is known."""
    guest = build(
        [(10, IN, 1, 0), (15, TICK, 0, 1), (90, LOST, 0, 7), (95, IN, 2, 0), (99, OUT, 2, 0)]
    )
    spans, who = guests.running(guest)
    assert spans.tolist() == [[10, 15], [95, 99]]
    assert who.tolist() == [1, 2]
    assert guest.lost == 7
    assert guests.known(guest).tolist() == [[10, 15], [95, 100]]


def test_when_a_loss_was_noticed_does_not_matter() -> None:
    """The reader of the ring may give LOST any stamp."""
    for stamp in (0, 16, 95, 2**63):
        guest = build([(10, IN, 1, 0), (15, TICK, 0, 1), (stamp, LOST, 0, 7), (95, OUT, 1, 0)])
        assert guest.lost == 7
        assert guests.running(guest)[0].tolist() == [[10, 15]]
        if stamp < 2**62:
            assert guests.known(guest).tolist() == [[10, 15], [95, 96]]


def test_nested_interrupts_are_part_of_the_outer() -> None:
    guest = build([
        (1, EXIT, 0, 9), (10, ENTER, 0, 27), (12, ENTER, 0, 30), (14, EXIT, 0, 30),
        (20, EXIT, 0, 27), (30, ENTER, 0, 27), (31, LOST, 0, 1), (40, ENTER, 0, 27),
        (41, EXIT, 0, 27),
    ])  # fmt: skip
    spans, numbers = guests.interrupts(guest)
    assert spans.tolist() == [[10, 20], [40, 41]]
    assert numbers.tolist() == [27, 27]


def test_records_out_of_order_are_dropped_and_counted() -> None:
    """One record from the far future does not cost all records after it."""
    rows = [(n, TICK, 0, n) for n in range(100)]
    rows[30] = (10**15, TICK, 0, 0)
    guest = build(rows)
    assert guest.dropped == 1
    assert len(guest.records) == 99


def test_a_release_may_be_written_late() -> None:
    guest = build([(100, IN, 1, 0), (40, 37, 1, 0), (101, 35, 1, 0)])
    assert guest.dropped == 0
    assert guests.first(guest) == 100


def test_names_are_harmless() -> None:
    """A guest may have any bytes in its table of tasks."""
    table = {"1": {"name": "\x1b[2J<b>", "priority": 3}, "2": {"name": "x" * 500}, "3": None}
    guest = build([(n, IN, n, 0) for n in range(1, 5)], tasks=table)
    assert guest.tasks[1].name == "\\x1b[2J<b>"
    assert guest.tasks[1].priority == 3
    assert len(guest.tasks[2].name) < 80
    assert guest.tasks[3].name == "task 3"
    assert guest.tasks[4].name == "task 4"


def test_a_cut_file_and_a_wrong_description(tmp_path: Path) -> None:
    write_guest(tmp_path, "g", [(1, IN, 1, 0), (2, OUT, 1, 0)], frequency="fast", tick_hz=-5)
    path = tmp_path / "g.records"
    path.write_bytes(path.read_bytes()[:-3])
    guest = guests.load(path, tmp_path / "g.json", "g")
    assert len(guest.records) == 1
    assert guest.damage == "cut off"
    assert (guest.frequency, guest.tick_hz, guest.domain) == (62_500_000, 0, -1)
    for text in ("", "[]", '{"tasks": 7}', "[" * 100_000):
        (tmp_path / "g.json").write_text(text)
        assert guests.load(path, tmp_path / "g.json", "g").tasks[1].name == "task 1"


@given(st.lists(ROW, max_size=60), st.lists(ROW.map(lambda r: (r[0] % 500, *r[1:])), max_size=200))
def test_no_records_hurt(some: list[Any], close: list[Any]) -> None:
    """Whatever is in a guest's ring, figures and tracks are made without an error."""
    for rows in (some, sorted(close), close):
        guest = build(rows, tick_hz=1000, domain=1)
        for spans in (guests.running(guest)[0], guests.interrupts(guest)[0], guests.known(guest)):
            assert (spans[1:, 0] >= spans[:-1, 1]).all()
            assert (spans[:, 1] > spans[:, 0]).all()
        timeline = Timeline(CounterClock(), guests={"g": guest})
        json.dumps(stats.figures(timeline))
        tracks.build(timeline)
        for mine in jobs.find(guest).values():
            whole = np.sum([*mine.parts.values()], axis=0)
            assert (whole == mine.ended - mine.released)[mine.done].all()
