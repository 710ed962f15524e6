"""Writes files for the decoders: Xen's traces and guests' records, field by field."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCHED, GEN = 0x00020000, 0x0001F000
RUNSTATE, CONTINUE, WAKE, BLOCK, SWITCH = 0x21001, 0x21002, 0x28004, 0x28006, 0x2800A
LOST, WRAP, CPU_CHANGE = 0x1F001, 0x1F002, 0x1F003
RUNNING, RUNNABLE, BLOCKED = 0, 1, 2


def record(event: int, *words: int, time: int | None = None) -> bytes:
    """One record of Xen: header, perhaps a time, payload."""
    header = event | len(words) << 28
    if time is None:
        return struct.pack(f"<{1 + len(words)}I", header, *words)
    return struct.pack(f"<IQ{len(words)}I", header | 1 << 31, time, *words)


def window(pcpu: int, records: bytes) -> bytes:
    """Records of one PCPU with what xentrace writes before them."""
    return record(CPU_CHANGE, pcpu, len(records)) + records


@dataclass
class XenTrace:
    """Collects Xen's records, and writes them in rounds over the PCPUs, as xentrace does."""

    rows: list[tuple[int, int, bytes]] = field(default_factory=list)

    def add(self, time: int, pcpu: int, event: int, *words: int) -> None:
        self.rows.append((time, pcpu, record(event, *words, time=time)))

    def change(self, time: int, pcpu: int, vcpu: tuple[int, int], old: int, new: int) -> None:
        self.add(time, pcpu, RUNSTATE | old << 8 | new << 4, vcpu[0] << 16 | vcpu[1])

    def wake(self, time: int, pcpu: int, vcpu: tuple[int, int]) -> None:
        self.add(time, pcpu, WAKE, *vcpu)
        self.change(time, pcpu, vcpu, BLOCKED, RUNNABLE)

    def switch(
        self, time: int, pcpu: int, old: tuple[int, int], new: tuple[int, int], then: int
    ) -> None:
        """``old`` stops and is ``then`` runnable or blocked; ``new`` runs."""
        # A record of the scheduler's own class; on a real machine too they come between the others.
        self.add(time, pcpu, 0x2220C, 0x1D170, 0, 0x80020000, 0, 0x8002800A, time & 0xFFFFFFFF)
        self.add(time, pcpu, SWITCH, *old, *new)
        self.change(time, pcpu, old, RUNNING, then)
        self.change(time, pcpu, new, RUNNABLE, RUNNING)

    def bytes(self, every: int = 6_250_000) -> bytes:
        """The file, with a round of windows for each stretch of counters."""
        rows = sorted(self.rows, key=lambda row: row[0])
        rounds: dict[int, dict[int, list[bytes]]] = {}
        for time, pcpu, raw in rows:
            rounds.setdefault(time // every, {}).setdefault(pcpu, []).append(raw)
        return b"".join(
            window(pcpu, b"".join(parts))
            for _, pcpus in sorted(rounds.items())
            for pcpu, parts in sorted(pcpus.items())
        )


def guest_records(rows: Iterable[tuple[int, int, int, int]]) -> bytes:
    """Records of (counter, event, task, argument)."""
    return b"".join(struct.pack("<QHHI", *row) for row in rows)


def write_guest(
    folder: Path, name: str, rows: Sequence[tuple[int, int, int, int]], **meta: Any
) -> None:
    """A guest's two files in a run's ``trace/``."""
    (folder / f"{name}.records").write_bytes(guest_records(rows))
    (folder / f"{name}.json").write_text(json.dumps(meta))
