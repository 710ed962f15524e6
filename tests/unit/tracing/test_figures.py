"""The figures agree with a simulation that counted while it ran."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lab.errors import LabError
from lab.rundir import RunDir
from lab.trace import alignment, delays, histogram, hypervisor, jobs, stats, timeline, xentrace
from lab.trace import guest as guests
from lab.trace.events import Reading, Runstate, XenEvents
from lab.trace.guest import RECORD
from lab.trace.timeline import Timeline
from tracing.encode import BLOCKED, LOST, RUNNABLE, RUNNING, XenTrace, guest_records
from tracing.synthetic import HZ, MS, TASKS, Simulation


def test_every_job_is_as_it_was(simulation: Simulation, seen: Timeline) -> None:
    """Release, begin, end, and each part of the response time are right to the counter."""
    found = jobs.find(seen.guests["rt"], seen.hypervisor)
    assert sorted(found) == [1, 2, 3]
    for number, mine in found.items():
        truth = sorted((j for j in simulation.done if j.task == number), key=lambda j: j.release)
        done = mine.done
        assert mine.released[done].tolist() == [job.release for job in truth]
        assert mine.began[done].tolist() == [job.began for job in truth]
        assert mine.ended[done].tolist() == [job.ended for job in truth]
        for part in jobs.PARTS:
            assert mine.parts[part][done].tolist() == [job.parts[part] for job in truth], part
        late = [job.ended - job.release > TASKS[number - 1][3] for job in truth]
        assert mine.missed[done].tolist() == late


def test_without_marks_delays_tell() -> None:
    """If a task only calls vTaskDelayUntil, its releases are the ticks that it waits for."""
    rows = []
    zero = 1000
    for job in range(5):
        at = zero + 10 * MS * (job + 1)
        rows += [(at + 5, 17, 2, 10 * (job + 1)), (at + 20, 1, 1, 0), (at + 500, 2, 1, 0)]
        rows += [(at + 500, 1, 2, 0)]
    slept = [(zero + 100, 5, 1, 10)]
    slept += [(zero + 10 * MS * (n + 1) + 480, 5, 1, 10 * (n + 2)) for n in range(5)]
    raw = guest_records(sorted([(zero, 1, 1, 0), (zero + 110, 1, 2, 0), *rows, *slept]))
    guest = guests.build("g", np.frombuffer(raw, RECORD), {"frequency": HZ, "tick_hz": 1000})
    mine = jobs.find(guest)[1]
    assert (mine.began - mine.released).tolist() == [15] * 5
    assert (mine.ended - mine.released).tolist() == [475] * 5
    assert mine.period == 10 * MS
    assert not mine.missed.any()


def test_a_job_whose_end_was_lost_is_not_late() -> None:
    """Such a job is left out. A job that really did not end is late."""
    rows = [(0, 33, 1, 100), (5, 37, 1, 0), (6, 35, 1, 0), (7, 37, 1, 1), (8, 35, 1, 1)]
    end = (10**6, 17, 1, 1)
    for lost, late in (([(20, 65535, 0, 3)], 0), ([], 2)):
        raw = np.frombuffer(guest_records([*rows, *lost, end]), RECORD)
        mine = jobs.find(guests.build("g", raw, {"frequency": HZ}))
        assert sum(int(each.missed.sum()) for each in mine.values()) == late


def test_figures_are_those_of_the_jobs(simulation: Simulation, seen: Timeline) -> None:
    found = stats.figures(seen)
    json.dumps(found)
    fast = next(row for row in found["tasks"] if row["task"] == "fast")
    truth = [job for job in simulation.done if job.task == 1]
    response = np.array([job.ended - job.release for job in truth]) / HZ
    assert fast["jobs"] == len(truth)
    assert fast["period"] == fast["deadline"] == 0.005
    assert fast["misses"] >= (response > 0.005).sum() > 0
    assert fast["response"]["max"] == pytest.approx(np.max(response), abs=1e-9)
    for key, at in (("p50", 50), ("p99", 99)):
        exact = np.percentile(response, at, method="inverted_cdf")
        assert fast["response"][key] == pytest.approx(exact, rel=2e-3)
    for row in found["pcpus"]:
        assert sum(who["share"] for who in row["who"]) == pytest.approx(1.0, abs=1e-3)
    for row in found["vcpus"]:
        shares = [row[state.name.lower()]["share"] for state in Runstate]
        assert sum(shares) == pytest.approx(1.0, abs=1e-3)


def test_who_delayed_whom(simulation: Simulation, seen: Timeline) -> None:
    """On its PCPU the guest waited only for the noisy guest."""
    rows = {(r["victim"], r["culprit"]): r["seconds"] for r in stats.figures(seen)["delays"]}
    done = [job for job in simulation.done if job.task == 3]
    hypervisor_ = sum(job.parts["hypervisor"] for job in done) / HZ
    assert rows["rt/slow", "noisy"] == pytest.approx(hypervisor_, rel=0.02)
    assert ("rt/slow", delays.UNKNOWN) not in rows
    assert rows["rt/middle", "rt/fast"] > 0
    assert rows["noisy", "rt"] > 0
    assert rows["dom0", delays.XEN] == pytest.approx(50 * 100 / HZ, rel=0.05)


def test_percentiles_have_three_digits() -> None:
    some = histogram.summary(np.arange(1, 10001) / 1e6)
    assert some is not None
    assert some["count"] == 10000
    assert (some["min"], some["max"]) == (1e-6, 0.01)
    assert some["p50"] == pytest.approx(5e-3, rel=1e-3)
    assert some["p999"] == pytest.approx(9.99e-3, rel=1e-3)
    assert histogram.summary(np.zeros(0)) is None


def test_clocks_agree(seen: Timeline) -> None:
    """Every wake-up of the simulation is in order, and none is skipped."""
    assert seen.hypervisor is not None
    found = alignment.check(seen.hypervisor, seen.guests["rt"], 1e-6)
    assert found.violations == ()
    assert found.compared > 100


@pytest.mark.parametrize("shift", [-200, 200_000])
def test_clocks_that_do_not_agree_are_found(seen: Timeline, shift: int) -> None:
    """Stamps of a guest that are a little early, or too late, are found."""
    assert seen.hypervisor is not None
    guest = seen.guests["rt"]
    records = guest.records.copy()
    records["counter"] += np.uint64(shift) if shift > 0 else np.uint64(2**64 + shift)
    wrong = alignment.check(seen.hypervisor, dataclasses.replace(guest, records=records), 1e-4)
    assert len(wrong.violations) > 20


def test_nothing_is_known_of_what_was_lost() -> None:
    """At a gap on any PCPU states end with the first lost record; wake-ups in it do not count."""
    me, idle = (1, 0), (0x7FFF, 0)
    trace = XenTrace()
    trace.wake(100, 0, me)
    trace.switch(200, 0, idle, me, RUNNABLE)
    trace.add(1000, 0, LOST, 5, 1, 400, 0)
    trace.change(1100, 0, me, RUNNING, BLOCKED)
    trace.change(1100, 0, idle, RUNNABLE, RUNNING)
    trace.change(1300, 0, idle, RUNNING, RUNNABLE)
    reading = Reading()
    events = XenEvents.join(list(xentrace.read_stream(io.BytesIO(trace.bytes()), reading)))
    found = hypervisor.build(events, reading)
    vcpu = hypervisor.vcpu_id(*me)
    assert found.states.spans(vcpu, Runstate.RUNNING).tolist() == [[200, 400]]
    assert found.states.spans(vcpu, Runstate.UNKNOWN).tolist() == [[400, 1100]]
    assert found.states.spans(vcpu, Runstate.BLOCKED).tolist() == [[1100, 1300]]
    assert reading.lost == 5


def test_notes_say_what_is_missing(run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = RunDir(tmp_path_factory.mktemp("part"))
    with pytest.raises(LabError, match="has no trace"):
        timeline.load(folder)
    folder.trace_dir.mkdir()
    raw = (run.trace_dir / "xen.bin").read_bytes()
    (folder.trace_dir / "xen.bin").write_bytes(raw[: len(raw) // 2 + 2])
    found = timeline.load(folder)
    assert any("Xen's trace ends at byte" in note for note in found.notes)
    (folder.trace_dir / "xen.bin").unlink()
    records = (run.trace_dir / "rt.records").read_bytes()
    (folder.trace_dir / "rt.records").write_bytes(records[:-1])
    found = timeline.load(folder)
    assert any("there is no trace of Xen" in note for note in found.notes)
    assert any("rt: its records end early" in note for note in found.notes)
    assert stats.figures(found)["tasks"]


def test_damaged_json_is_survived(run: RunDir) -> None:
    """Events of the session that cannot be read are skipped."""
    found = timeline.load(run).happenings
    assert [one.time for one in found] == [None, None]
    assert "\x1b" not in found[0].detail


def test_the_session_is_dated_by_the_host(tmp_path: Path, run: RunDir) -> None:
    """Events have times only if the host's time relates to the counter; domains get names."""
    folder = RunDir(tmp_path / "lab" / "id")
    shutil.copytree(run.trace_dir, folder.trace_dir)
    (folder.trace_dir / "noisy.records").unlink()
    clock = {"host_at_counter_0": [999.0, 1001.0], "counter_offset_dom0": 5}
    (folder.trace_dir / "clock.json").write_text(json.dumps(clock))
    marks = [
        {"time": 1002.5, "event": "mark", "what": f"created {name}"} for name in ("rt", "noisy")
    ]
    folder.events_file.write_text("\n".join(map(json.dumps, marks)))
    found = timeline.load(folder)
    assert [one.time for one in found.happenings] == [2.5, 2.5]
    assert found.names == {0: "dom0", 0x7FFF: "idle", 1: "rt", 2: "noisy"}
    folder.events_file.write_text("\n".join(map(json.dumps, reversed(marks))))
    assert timeline.load(folder).names == {0: "dom0", 0x7FFF: "idle", 1: "rt"}
    folder.update_manifest(clock="virtual")
    assert [one.time for one in timeline.load(folder).happenings] == [None, None]
