"""Records of a trace by the words in which a person names them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lab.api import Moment, traces
from lab.debug.targets import BeforeTime
from lab.errors import UsageError
from lab.rundir import RunDir
from lab.trace import named_records
from lab.trace.guest import GuestEvent
from lab.trace.timeline import Timeline
from tracing.synthetic import HZ, Simulation


def test_each_moment_of_a_job_is_found(seen: Timeline, simulation: Simulation) -> None:
    """With the guest's name and without it."""
    job = next(one for one in simulation.done if (one.task, one.number) == (1, 17))
    wanted = {"is released": job.release, "begins": job.began, "ends": job.ended}
    for moment, counter in wanted.items():
        for task in ("fast", "rt/fast"):
            found = named_records.counter_of(seen, f"job 17 of {task} {moment}")
            assert found == counter, (task, moment)


@pytest.mark.parametrize("words", ["rt: MARK fast 7", " 3.012345678 rt: MARK fast 7 "])
def test_a_record_as_the_difference_of_two_traces_shows_it(seen: Timeline, words: str) -> None:
    """The first of several is meant, whatever time stands before it."""
    rt = seen.guests["rt"]
    marked = rt.records.copy()
    chosen = [int(row) for row in (marked["task"] == 1).nonzero()[0][20:40:10]]
    for row in chosen:
        marked["event"][row], marked["argument"][row] = GuestEvent.MARK, 7
    told = replace(seen, guests={"rt": replace(rt, records=marked)})
    assert named_records.counter_of(told, words) == marked["counter"][chosen[0]]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("job 17 of fats begins", r"no periodic task is called 'fats'; did you mean 'fast'\?"),
        ("job 17 of other/fast begins", r"no periodic task is called 'fast'"),
        ("job 999 of fast begins", r"rt/fast has no job 999 in this trace; its last one is \d+"),
        ("tr: MARK fast 7", r"no traced guest is called 'tr'; choose from: noisy, rt"),
        ("rt: MRAK fast 7", r"there is no record 'MRAK'"),
        ("rt: MARK fast 7", r"rt has no record MARK fast 7 in this trace"),
        ("fast begins", r"'fast begins' names no record of a trace"),
    ],
)
def test_what_the_trace_does_not_have_is_refused(seen: Timeline, words: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        named_records.counter_of(seen, words)


def test_a_task_of_several_guests_needs_its_guests_name(seen: Timeline) -> None:
    twin = replace(seen.guests["rt"], name="twin")
    told = replace(seen, guests={"rt": seen.guests["rt"], "twin": twin})
    with pytest.raises(UsageError, match="several guests have a task 'fast': rt/fast, twin/fast"):
        named_records.counter_of(told, "job 17 of fast begins")
    assert named_records.counter_of(told, "job 17 of twin/fast begins")


def test_a_job_that_does_not_end_is_told(seen: Timeline) -> None:
    rt = seen.guests["rt"]
    last = rt.of(GuestEvent.JOB_BEGIN)[-1]
    ends = (rt.records["event"] == GuestEvent.JOB_END) & (rt.records["task"] == last["task"])
    open_ = rt.records[~(ends & (rt.records["argument"] == last["argument"]))]
    told = replace(seen, guests={"rt": replace(rt, records=open_)})
    words = f"job {last['argument']} of {rt.task_name(last['task'])} ends"
    with pytest.raises(UsageError, match="does not end in this trace"):
        named_records.counter_of(told, words)


def test_times_count_from_when_the_guests_began(run: RunDir, tmp_path: Path) -> None:
    """dom0's counter, in which the manifest has that moment, began 9000 counts later."""
    folder = RunDir(tmp_path / "run")
    shutil.copytree(run.trace_dir, folder.trace_dir)
    clock = {"counter_offset_dom0": 9000, "frequency": HZ}
    (folder.trace_dir / "clock.json").write_text(json.dumps(clock))
    folder.manifest_file.write_text(json.dumps({"began": 2.0}))
    found = traces.time_of_record(folder, "job 0 of fast is released")
    assert found == pytest.approx((3 * HZ + HZ // 500 - 9000) / HZ - 2.0)
    assert Moment(event="job 0 of fast ends").words() == "before job 0 of fast ends"


def test_a_machine_that_stands_too_late_is_stopped_earlier_the_next_time() -> None:
    """At last when the guests begin; there is nothing before that."""
    target = BeforeTime(0.05, lambda: 100.0)
    stops = []
    while target:
        latest = target.latest()
        assert latest is not None
        stops.append(round(latest, 6))
        later = target.earlier(now=latest + 0.06)  # dom0 gets a CPU 60 ms later
        assert later is None or isinstance(later, BeforeTime)
        target = later  # type: ignore[assignment]
    assert stops == [100.049, 100.042, 100.0]
    assert BeforeTime(0.05, lambda: 100.0).earlier(now=100.0499) is None
