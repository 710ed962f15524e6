"""Files for other programs are complete, and the same every time."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

from lab.rundir import RunDir
from lab.trace import diff, export_chrome, export_csv, export_perfetto, timeline, tracks
from lab.trace.timeline import Timeline
from lab.trace.tracks import Tracks
from tracing.synthetic import Simulation


@pytest.fixture(scope="module")
def drawn(seen: Timeline) -> Tracks:
    return tracks.build(seen)


def test_tracks_are_those_of_the_run(simulation: Simulation, drawn: Tracks) -> None:
    by_key = {track.key: track for track in drawn.tracks}
    assert {"pcpu/0", "pcpu/1", "vcpu/0.0", "vcpu/1.0", "vcpu/2.0"} <= set(by_key)
    assert {by_key[f"task/rt/{n}"].name for n in (1, 2, 3, 4)} == {"fast", "middle", "slow", "IDLE"}
    for number in (1, 2, 3):
        jobs = [job for job in simulation.done if job.task == number]
        assert len(by_key[f"jobs/rt/{number}"].slices) == len(jobs)
    for track in drawn.tracks:
        assert (track.slices[1:, 0] >= track.slices[:-1, 1]).all(), track.key
        assert len(track.labels) == len(track.slices)
    assert sum(len(flow.source) for flow in drawn.flows) > 100


def test_perfetto_reads_it_back(seen: Timeline, drawn: Tracks, tmp_path: Path) -> None:
    """Tracks, their parents, slices, marks and flows, by the package's own classes."""
    path = tmp_path / "t.pftrace"
    export_perfetto.write(seen, drawn, path)
    read = Trace()
    read.ParseFromString(path.read_bytes())
    names = {}
    parents = {}
    kinds: Counter[tuple[int, int]] = Counter()
    leaving, coming = set(), set()
    for packet in read.packet:
        if packet.HasField("track_descriptor"):
            names[packet.track_descriptor.uuid] = packet.track_descriptor.name
            parents[packet.track_descriptor.uuid] = packet.track_descriptor.parent_uuid
        else:
            event = packet.track_event
            kinds[event.track_uuid, event.type] += 1
            leaving |= set(event.flow_ids)
            coming |= set(event.terminating_flow_ids)
    for track in drawn.tracks:
        uuid = export_perfetto.track_id(track.key)
        assert names[uuid] == track.name
        assert names[parents[uuid]] == track.group
        assert kinds[uuid, TrackEvent.TYPE_SLICE_BEGIN] == len(track.slices)
        assert kinds[uuid, TrackEvent.TYPE_SLICE_END] == len(track.slices)
        assert kinds[uuid, TrackEvent.TYPE_INSTANT] == len(track.marks)
    assert leaving == coming
    assert len(leaving) == sum(len(flow.source) for flow in drawn.flows)
    assert kinds[export_perfetto.track_id("counter/waiting"), TrackEvent.TYPE_COUNTER] > 100


def test_chrome_json_is_json(seen: Timeline, drawn: Tracks, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    export_chrome.write(seen, drawn, path)
    kinds = Counter(event["ph"] for event in json.loads(path.read_text())["traceEvents"])
    assert kinds["X"] == sum(len(track.slices) for track in drawn.tracks)
    assert kinds["i"] == sum(len(track.marks) for track in drawn.tracks)
    assert kinds["s"] == kinds["f"] > 100


def test_csv_is_in_order(seen: Timeline, drawn: Tracks, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    export_csv.write(seen, drawn, path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == export_csv.HEADER
    assert len(rows) == sum(len(t.slices) + len(t.marks) for t in drawn.tracks)
    times = [int(row["counter"]) for row in rows]
    assert times == sorted(times)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x"])
def test_csv_has_no_formula(text: str) -> None:
    """No spreadsheet takes the text of a guest for a formula."""
    assert export_csv._plain(text) == f"'{text}"


@pytest.mark.parametrize("writer", [export_perfetto.write, export_chrome.write, export_csv.write])
def test_the_same_bytes_every_time(run, seen, writer, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    again = timeline.load(run, seen.lines)
    writer(seen, tracks.build(seen), tmp_path / "one")
    writer(again, tracks.build(again), tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_runs_that_are_the_same(seen: Timeline) -> None:
    found = diff.compare(seen, seen)
    assert found["exact"]["same"]
    assert found["order"]["same"]
    assert found["figures"] == []


def test_the_first_event_that_differs_is_shown(
    seen: Timeline, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With another seed runs are the same until the first random decision."""
    folder = RunDir(tmp_path_factory.mktemp("other") / "x" / "y")
    folder.trace_dir.mkdir(parents=True)
    Simulation(1.0, seed=4, steal=9 * 62_500).write_to(folder.trace_dir)
    found = diff.compare(seen, timeline.load(folder))
    exact, order = found["exact"], found["order"]
    assert not exact["same"]
    assert 0 < exact["index"] <= order["index"]
    assert len(exact["before"]) == 3
    assert exact["one"] != exact["other"]
    assert any(row["what"] == "rt/slow response max" for row in found["figures"])
    json.dumps(found)
