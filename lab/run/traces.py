"""A run's timing traces, from their start to the files that they leave.

While the lab runs, QEMU itself writes the raw files, so they survive if our process is killed:
``trace/xen.bin`` (from xentrace), ``trace/<guest>.records`` (16-byte records;
``images/freertos/port/trace.h`` has the events) and ``trace/log`` (text, see
:mod:`lab.dom0.trace_daemons`). At the end JSON files are written beside them. They say how many
records were lost, whether the trace is complete, what the tasks are called, and how the clocks
relate.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import struct
from pathlib import Path
from typing import Any

from lab.dom0 import trace_daemons
from lab.dom0.agent import Dom0
from lab.machine.merged_consoles import dom0_began
from lab.model import Lab
from lab.rundir import RunDir
from lab.util import files, reading

RECORD = 16
#: TRC_LOST_RECORDS (xen/include/public/trace.h).
LOST_RECORDS = 0x1F001
#: The most bytes of ``trace/log`` that are read.
LARGEST_LOG = 128 << 20


async def start(agent: Dom0, lab: Lab) -> None:
    """Start the traces and dom0's load. This must come before the guests are created."""
    if lab.trace or lab.traced:
        await trace_daemons.relate_clocks(agent)
    if lab.trace:
        await trace_daemons.start_xen(agent, lab.trace.mask)
    if lab.dom0.busy:
        await trace_daemons.keep_busy(agent)


async def stop(agent: Dom0) -> None:
    """End all traces. When this returns, the run's folder has their last records."""
    await trace_daemons.stop(agent)


def conclude(run: RunDir) -> None:
    """Write the JSON files about a run's traces. Does nothing without traces."""
    log_file = run.trace_dir / "log"
    with contextlib.suppress(OSError):
        with reading.binary(log_file) as file:
            text = file.read(LARGEST_LOG).decode("ascii", "replace")
        log = trace_daemons.parse(text)
        for path in sorted(run.trace_dir.glob("*.records")):
            _write(run, path.stem, _guest(path, log.guests.get(path.stem)))
        for guest, rings in log.rings.items():
            if guest in log.guests:
                _write(run, f"{guest}.rings", {"counter_dom0": rings})
        _write(run, "clock", _clock(run, log))
        if (run.trace_dir / "xen.bin").exists():
            _write(run, "xen", _xen(run, log))


def note_start(run: RunDir, before: float, after: float) -> None:
    """Note the host's times right before and after the machine's counter was 0, in seconds."""
    _write(run, "start", {"host_at_counter_0": [before, after]})


def describe(run: RunDir, lab: Lab) -> None:
    """Note which of Xen's events labs.yaml asks for."""
    if lab.trace:
        wanted = {"masks": list(lab.trace.groups), "mask": f"{lab.trace.mask:#x}"}
        _write(run, "xen", wanted | {"lost": None, "complete": False})


def _guest(path: Path, known: trace_daemons.GuestTrace | None) -> dict[str, Any]:
    records = path.stat().st_size // RECORD
    if known is None:
        return {"tasks": {}, "lost": 0, "records": records, "complete": False}
    return {
        "frequency": known.frequency,
        "tick_hz": known.tick_hz,
        "tasks": {
            str(ident): {"name": name, "priority": priority}
            for ident, (name, priority) in sorted(known.tasks.items())
        },
        "lost": known.lost,
        "records": records,
        "complete": known.ended in ("complete", "gone") and known.records == records,
        "ended": known.ended or "cut off",
        "capacity": known.capacity,
        "domain": known.domain,
    }


def _clock(run: RunDir, log: trace_daemons.Log) -> dict[str, Any]:
    found = _read(run, "start")
    if log.clock is None:
        return found
    low, high, pairs, frequency = log.clock
    if low > high:
        return found | {"frequency": frequency, "counter_offset_dom0": None}
    found |= {
        "frequency": frequency,
        "counter_offset_dom0": (low + high) // 2,
        "counter_offset_dom0_within": [low, high],
        "pairs": pairs,
    }
    return found | _xen_zero(run.console("xen"), low, high, frequency)


def _xen_zero(log: Path, low: int, high: int, frequency: int) -> dict[str, Any]:
    """The physical counter when Xen's printed time was 0, if Xen's log tells.

    dom0's counter began at a value between ``low`` and ``high``, and between two lines of Xen's
    log. Xen prints the second line right afterwards, so the estimate uses that line.
    """
    began = dom0_began(log)
    if began is None:
        return {}
    earliest = max(0, low - round(began[1] * frequency))
    latest = max(0, high - round(began[0] * frequency))
    zero = max(0, (low + high) // 2 - round(began[1] * frequency))
    return {"xen_zero": zero, "xen_zero_within": [earliest, latest]}


def _xen(run: RunDir, log: trace_daemons.Log) -> dict[str, Any]:
    return _read(run, "xen") | {
        "frequency": log.clock[3] if log.clock else None,
        "lost": _lost_of(run.trace_dir / "xen.bin"),
        "complete": log.xen_ended == "complete",
        "ended": log.xen_ended or "cut off",
    }


def _lost_of(path: Path) -> int:
    if not path.stat().st_size:  # mmap(2) refuses an empty file
        return 0
    with reading.binary(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return count_lost(data)


def count_lost(data: bytes | mmap.mmap) -> int:
    """How many records Xen had no room for: the sum of the counts in TRC_LOST_RECORDS.

    Most traces have no such record, which a quick search for its number shows. A record begins
    with a word: the event (28 bits), the number of extra words (3 bits), and whether a time stamp
    of two words follows (1 bit); see xen/include/public/trace.h.
    """
    lost, at = 0, 0
    if data.find(LOST_RECORDS.to_bytes(3, "little")) < 0:
        return 0
    with contextlib.suppress(struct.error):
        while at < len(data):
            (header,) = struct.unpack_from("<I", data, at)
            stamp = 8 if header >> 31 else 0
            if header & 0xFFFFFFF == LOST_RECORDS and header >> 28 & 7:
                lost += struct.unpack_from("<I", data, at + 4 + stamp)[0]
            at += 4 + stamp + 4 * (header >> 28 & 7)
    return lost


def _write(run: RunDir, name: str, data: dict[str, Any]) -> None:
    text = json.dumps(data, indent=1, sort_keys=True)
    files.write_atomic(run.trace_dir / f"{name}.json", text + "\n")


def _read(run: RunDir, name: str) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        data = reading.json_file(run.trace_dir / f"{name}.json")
        return data if isinstance(data, dict) else {}
    return {}
