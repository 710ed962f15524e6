"""The timeline's data for the report's script: lanes of 32-bit numbers, packed as base64.

Times count units of ``unit`` seconds since ``start``. A unit is one tick of the counter, or a
power of two of ticks if the trace is too long for 32 bits.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lab.trace.colours import IDLE, colour, domains, task_colour, task_title
from lab.trace.first_view import opening
from lab.trace.jobs import Jobs
from lab.trace.spans import Spans, Times
from lab.trace.timeline import Timeline
from lab.trace.tracks import Flow, Track, Tracks

#: The most slices that are drawn: the first ones. An export has all of them.
MAX_SLICES = 1_000_000
MAX_WORDS = 65_536
#: Kinds of tracks that become lanes.
SHOWN = ("pcpu", "vcpu", "task", "interrupts", "console")
LEGEND_WAIT = ("wait", "wants to run, but does not")
_IDLE = {"pcpu": "idle", "vcpu": "blocked", "task": "not running"}


@dataclass(frozen=True)
class View:
    """The stretch of time that is drawn, in counters. Times are shifted to fit into 32 bits."""

    start: int
    end: int
    shift: int

    def units(self, counters: Times) -> npt.NDArray[np.uint32]:
        inside = np.clip(counters, self.start, self.end) - self.start
        return (inside >> self.shift).astype(np.uint32)


def window(timeline: Timeline, tracks: Tracks) -> View:
    """The whole trace, or as much of its beginning as can be drawn."""
    start, end = timeline.bounds
    starts = np.concatenate([np.zeros(0, np.int64), *(t.slices[:, 0] for t in tracks.tracks)])
    if len(starts) > MAX_SLICES:
        end = min(end, int(np.partition(starts, MAX_SLICES)[MAX_SLICES]))
    return View(start, max(end, start + 1), max(0, (end - start).bit_length() - 32))


def data(timeline: Timeline, tracks: Tracks, jobs: dict[tuple[str, int], Jobs]) -> dict[str, Any]:
    """The data that the script reads. ``jobs``: by guest and task number."""
    seen = window(timeline, tracks)
    shown = [track for track in tracks.tracks if _worth(track, seen)]
    places = {track.key: number for number, track in enumerate(shown)}
    flows = [
        {
            "from": places[flow.source_key],
            "to": places[flow.target_key],
            **_flow(tracks, flow, seen),
        }
        for flow in tracks.flows
        if flow.source_key in places and flow.target_key in places
    ]
    unit = (1 << seen.shift) / timeline.clock.frequency
    first = opening(timeline, tracks, jobs, seen.start, seen.end)
    return {
        "start": timeline.clock.seconds(seen.start),
        "unit": unit,
        "span": (seen.end - seen.start) >> seen.shift,
        "first": [(when - seen.start) >> seen.shift for when in (first.start, first.end)],
        "why": first.why,
        "legend": list(_legend(timeline, jobs)),
        "lanes": [_lane(timeline, track, seen, jobs) for track in shown],
        "flows": flows,
    }


def _worth(track: Track, seen: View) -> bool:
    if track.kind not in SHOWN or (track.kind == "task" and track.name == IDLE):
        return False
    inside = (track.marks >= seen.start) & (track.marks <= seen.end)
    return bool(len(track.slices) or inside.any() or track.kind == "pcpu")


def _legend(timeline: Timeline, jobs: dict[tuple[str, int], Jobs]) -> Iterator[tuple[str, str]]:
    for domain in sorted(domains(timeline)):
        name = timeline.names.get(domain, f"domain {domain}")
        yield colour(timeline, domain), f"{name} runs"
    yield LEGEND_WAIT
    if jobs:
        yield "soft", "job from release to end (line below a task), and its deadline (stroke)"
    if any(mine.missed.any() for mine in jobs.values()):
        yield "late", "late job, and the deadline that it missed"


def _lane(
    timeline: Timeline, track: Track, seen: View, jobs: dict[tuple[str, int], Jobs]
) -> dict[str, Any]:
    inside = (track.slices[:, 1] > seen.start) & (track.slices[:, 0] < seen.end)
    starts, lengths = _pack(track.slices[inside], seen)
    marked = (track.marks >= seen.start) & (track.marks <= seen.end)
    marked &= track.mark_labels < MAX_WORDS
    lane: dict[str, Any] = {
        "name": _title(timeline, track),
        "group": track.group,
        "kind": track.kind,
        "idle": _IDLE.get(track.kind, ""),
        "words": list(track.words[:MAX_WORDS]),
        "colours": [_tint(timeline, track, word) for word in track.words[:64]],
        "start": starts,
        "length": lengths,
        "label": _base64(np.minimum(track.labels[inside], MAX_WORDS - 1).astype("<u2")),
        "at": _base64(seen.units(track.marks[marked]).astype("<u4")),
        "said": _base64(track.mark_labels[marked].astype("<u2")),
    }
    if track.kind == "task":
        mine = jobs.get(_task(track))
        if mine is not None:
            lane["jobs"] = _jobs(mine, seen)
    return lane


def _task(track: Track) -> tuple[str, int]:
    """The guest of a task's track, and the task's number."""
    guest, _, number = track.key.removeprefix("task/").rpartition("/")
    return guest, int(number)


def _title(timeline: Timeline, track: Track) -> str:
    if track.kind != "task":
        return track.name
    guest, number = _task(track)
    return task_title(timeline.guests[guest], number)


def _jobs(mine: Jobs, seen: View) -> dict[str, Any]:
    done = mine.done & (mine.released < seen.end) & (mine.ended > seen.start)
    spans = np.stack([mine.released[done], mine.ended[done]], axis=1)
    starts, lengths = _pack(spans, seen)
    late = _base64(mine.missed[done].astype(np.uint8))
    return {"start": starts, "length": lengths, "late": late,
            "deadline": mine.deadline >> seen.shift}  # fmt: skip


def _flow(tracks: Tracks, flow: Flow, seen: View) -> dict[str, str]:
    by_key = {track.key: track for track in tracks.tracks}
    start = by_key[flow.source_key].slices[flow.source, 0]
    end = by_key[flow.target_key].slices[flow.target, 0]
    inside = (start >= seen.start) & (end <= seen.end)
    order = np.argsort(start[inside], kind="stable")
    units = (seen.units(times[inside][order]).astype("<u4") for times in (start, end))
    return dict(zip(("source", "target"), map(_base64, units), strict=True))


def _tint(timeline: Timeline, track: Track, word: str) -> str:
    if word in ("runnable", "held up"):
        return "wait"
    if word in ("unknown", "offline", "records lost"):
        return "none"
    if track.kind == "interrupts":
        return "irq"
    if track.kind == "task":
        guest, number = _task(track)
        return task_colour(timeline.guests[guest], number)
    return colour(timeline, _domain(timeline, track, word))


def _domain(timeline: Timeline, track: Track, word: str) -> int:
    if track.kind == "vcpu":
        return int(track.key.removeprefix("vcpu/").partition(".")[0])
    xen = timeline.hypervisor
    named = {timeline.vcpu_name(vcpu): vcpu >> 16 for vcpu in (xen.vcpus if xen else [])}
    return named.get(word, -1)


def _pack(spans: Spans, seen: View) -> tuple[str, str]:
    starts, ends = seen.units(spans[:, 0]), seen.units(spans[:, 1])
    return _base64(starts.astype("<u4")), _base64((ends - starts).astype("<u4"))


def _base64(values: npt.NDArray[Any]) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")
