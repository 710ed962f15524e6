"""A timeline as a Perfetto trace (a stream of TracePacket messages), for ui.perfetto.dev.

It is built offline with the messages of the package ``perfetto``. Each PCPU, vCPU and task has
a track; groups are parent tracks; times are nanoseconds since Xen's zero.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import (
    TracePacket,
    TrackDescriptor,
    TrackEvent,
)
from perfetto.trace_builder.proto_builder import StreamingTraceProtoBuilder

from lab.trace.spans import Times
from lab.trace.timeline import CounterClock, Timeline
from lab.trace.tracks import Flow, Track, Tracks

_SEQUENCE = 1
_COUNTER = "counter/waiting"


def write(timeline: Timeline, tracks: Tracks, path: Path) -> None:
    """Write a timeline's tracks to a file.

    Raises:
        OSError: it cannot be written.
    """
    with path.open("wb") as file:
        _Writer(file, timeline.clock).all(tracks)


def track_id(key: str) -> int:
    """A track's number of 63 bits. The same key has the same number in every file."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1


def nanoseconds(clock: CounterClock, counters: Times) -> list[int]:
    """Times of a trace; exact to the counter, and never below zero."""
    ticks = np.maximum(counters - clock.zero, 0)
    whole, rest = np.divmod(ticks, clock.frequency)
    found: list[int] = (whole * 10**9 + rest * 10**9 // clock.frequency).tolist()
    return found


class _Writer:
    """Writes packets of one sequence, in order of track."""

    def __init__(self, file: IO[bytes], clock: CounterClock) -> None:
        self._builder = StreamingTraceProtoBuilder(file)
        self._clock = clock
        self._first = True

    def all(self, tracks: Tracks) -> None:
        groups = list(dict.fromkeys(track.group for track in tracks.tracks))
        for rank, group in enumerate(groups):
            self._describe(f"group/{group}", group, None, rank)
        for rank, track in enumerate(tracks.tracks):
            self._describe(track.key, track.name, f"group/{track.group}", rank)
        for track in tracks.tracks:
            self._slices(track, *_flow_ids(track, tracks.flows))
            self._marks(track)
        self._waiting(*tracks.waiting)

    def _describe(self, key: str, name: str, parent: str | None, rank: int) -> Any:
        packet = self._packet()
        found = packet.track_descriptor
        found.uuid, found.name, found.sibling_order_rank = track_id(key), name, rank
        found.child_ordering = TrackDescriptor.EXPLICIT
        if parent is not None:
            found.parent_uuid = track_id(parent)
        if key == _COUNTER:
            found.counter.unit_name = "vCPUs"
        self._builder.write_packet(packet)

    def _slices(self, track: Track, leaving: dict[int, int], coming: dict[int, int]) -> None:
        starts = nanoseconds(self._clock, track.slices[:, 0])
        ends = nanoseconds(self._clock, track.slices[:, 1])
        uuid, words = track_id(track.key), track.words
        rows = zip(starts, ends, track.labels.tolist(), strict=True)
        for index, (start, end, label) in enumerate(rows):
            packet = self._event(start, uuid, TrackEvent.TYPE_SLICE_BEGIN)
            packet.track_event.name = words[label]
            if index in leaving:
                packet.track_event.flow_ids.append(leaving[index])
            if index in coming:
                packet.track_event.terminating_flow_ids.append(coming[index])
            self._builder.write_packet(packet)
            self._builder.write_packet(self._event(end, uuid, TrackEvent.TYPE_SLICE_END))

    def _marks(self, track: Track) -> None:
        uuid, words = track_id(track.key), track.words
        times = nanoseconds(self._clock, track.marks)
        for time, label in zip(times, track.mark_labels.tolist(), strict=True):
            packet = self._event(time, uuid, TrackEvent.TYPE_INSTANT)
            packet.track_event.name = words[label]
            self._builder.write_packet(packet)

    def _waiting(self, times: Times, levels: Times) -> None:
        if not len(times):
            return
        self._describe(_COUNTER, "vCPUs that wait", None, 1 << 20)
        uuid = track_id(_COUNTER)
        for time, level in zip(nanoseconds(self._clock, times), levels.tolist(), strict=True):
            packet = self._event(time, uuid, TrackEvent.TYPE_COUNTER)
            packet.track_event.counter_value = level
            self._builder.write_packet(packet)

    def _event(self, time: int, uuid: int, kind: int) -> TracePacket:
        packet = self._packet()
        packet.timestamp = time
        packet.track_event.type = kind
        packet.track_event.track_uuid = uuid
        return packet

    def _packet(self) -> TracePacket:
        packet = self._builder.create_packet()
        packet.trusted_packet_sequence_id = _SEQUENCE
        if self._first:
            packet.sequence_flags = TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
            self._first = False
        return packet


def _flow_ids(track: Track, flows: tuple[Flow, ...]) -> tuple[dict[int, int], dict[int, int]]:
    """The numbers of the flows that leave a track's slices, and of those that reach them."""
    leaving: dict[int, int] = {}
    coming: dict[int, int] = {}
    base = 1
    for flow in flows:
        numbers = range(base, base + len(flow.source))
        if flow.source_key == track.key:
            leaving |= dict(zip(flow.source.tolist(), numbers, strict=True))
        if flow.target_key == track.key:
            coming |= dict(zip(flow.target.tolist(), numbers, strict=True))
        base += len(flow.source)
    return leaving, coming
