"""A timeline as CSV: one line for each slice and mark, in order of time."""

from __future__ import annotations

import csv
import heapq
from collections.abc import Iterator
from pathlib import Path

from lab.trace.timeline import Timeline
from lab.trace.tracks import Track, Tracks

#: Times are seconds since Xen's zero; a mark has neither end nor length.
HEADER = ("start", "end", "length", "counter", "kind", "group", "track", "what")


def write(timeline: Timeline, tracks: Tracks, path: Path) -> None:
    """Write a timeline's tracks to a file.

    Raises:
        OSError: it cannot be written.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(HEADER)
        every = heapq.merge(*(_rows(track) for track in tracks.tracks), key=lambda row: row[0])
        for counter, end, track, label in every:
            start = timeline.clock.seconds(counter)
            ends = ["", ""]
            if end >= 0:
                length = (end - counter) / timeline.clock.frequency
                ends = [f"{start + length:.9f}", f"{length:.9f}"]
            what = _plain(track.words[label])
            about = [track.kind, _plain(track.group), _plain(track.name), what]
            out.writerow([f"{start:.9f}", *ends, counter, *about])


def _rows(track: Track) -> Iterator[tuple[int, int, Track, int]]:
    """(counter, end or -1, track, label) of a track's slices and marks, in order of time."""
    slices = (
        (start, end, track, label)
        for (start, end), label in zip(track.slices.tolist(), track.labels.tolist(), strict=True)
    )
    marks = (
        (time, -1, track, label)
        for time, label in zip(track.marks.tolist(), track.mark_labels.tolist(), strict=True)
    )
    return heapq.merge(slices, marks, key=lambda row: row[0])


def _plain(text: str) -> str:
    """Text of a guest, so that a spreadsheet never takes it for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
