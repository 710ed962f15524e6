"""A timeline in the Trace Event Format of Chromium's chrome://tracing, as JSON.

``X`` are slices, ``i`` marks, ``s`` and ``f`` the ends of a flow, ``C`` a counter, ``M`` names;
times are microseconds. A group of tracks is a process, a track is a thread.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.trace.spans import Times
from lab.trace.timeline import Timeline
from lab.trace.tracks import Track, Tracks


def write(timeline: Timeline, tracks: Tracks, path: Path) -> None:
    """Write a timeline's tracks to a file, one event on each line.

    Raises:
        OSError: it cannot be written.
    """
    with path.open("w", encoding="utf-8") as file:
        file.write('{"displayTimeUnit": "ns", "traceEvents": [')
        before = "\n"
        for event in events(timeline, tracks):
            file.write(before + json.dumps(event))
            before = ",\n"
        file.write("\n]}\n")


def events(timeline: Timeline, tracks: Tracks) -> Iterator[dict[str, Any]]:
    """Every event: first the names, then the tracks one by one."""
    groups = {name: i + 1 for i, name in enumerate(dict.fromkeys(t.group for t in tracks.tracks))}
    places = {
        track.key: {"pid": groups[track.group], "tid": number + 1}
        for number, track in enumerate(tracks.tracks)
    }
    for name, pid in groups.items():
        yield {"ph": "M", "name": "process_name", "pid": pid, "args": {"name": name}}
        yield {"ph": "M", "name": "process_sort_index", "pid": pid, "args": {"sort_index": pid}}
    for track in tracks.tracks:
        yield {"ph": "M", "name": "thread_name", **places[track.key], "args": {"name": track.name}}
    for track in tracks.tracks:
        yield from _track(timeline, track, places[track.key])
    yield from _flows(timeline, tracks, places)
    waiting, levels = tracks.waiting
    for time, level in zip(_micros(timeline, waiting), levels.tolist(), strict=True):
        yield {"ph": "C", "name": "vCPUs that wait", "pid": 0, "ts": time, "args": {"n": level}}


def _track(timeline: Timeline, track: Track, place: dict[str, int]) -> Iterator[dict[str, Any]]:
    starts = _micros(timeline, track.slices[:, 0])
    ends = _micros(timeline, track.slices[:, 1])
    for start, end, label in zip(starts, ends, track.labels.tolist(), strict=True):
        yield {"ph": "X", "cat": track.kind, "name": track.words[label], **place,
               "ts": start, "dur": round(end - start, 3)}  # fmt: skip
    times = _micros(timeline, track.marks)
    for time, label in zip(times, track.mark_labels.tolist(), strict=True):
        yield {"ph": "i", "s": "t", "cat": track.kind, "name": track.words[label], **place,
               "ts": time}  # fmt: skip


def _flows(
    timeline: Timeline, tracks: Tracks, places: dict[str, dict[str, int]]
) -> Iterator[dict[str, Any]]:
    by_key = {track.key: track for track in tracks.tracks}
    number = 0
    for flow in tracks.flows:
        source, target = by_key[flow.source_key], by_key[flow.target_key]
        starts = _micros(timeline, source.slices[flow.source, 0])
        ends = _micros(timeline, target.slices[flow.target, 0])
        for start, end in zip(starts, ends, strict=True):
            number += 1
            about = {"cat": "wake", "name": "wake", "id": number}
            yield {"ph": "s", **about, **places[source.key], "ts": start}
            yield {"ph": "f", "bp": "e", **about, **places[target.key], "ts": end}


def _micros(timeline: Timeline, counters: Times) -> list[float]:
    clock = timeline.clock
    found = (counters - clock.zero) / (clock.frequency / 1e6)
    return [round(value, 3) for value in found.tolist()]
