"""The digest of a run under the virtual clock, and the first difference between two runs.

The digest covers the bytes of the consoles, the times at which they came, the scenario's events
with their virtual times, the traces, and the files collected from dom0. Nothing in it depends on
the host.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.rundir import RunDir
from lab.util import files, reading
from lab.util.terminal import escape

#: The scenario's events with their virtual times, beside the consoles.
SCENARIO = "scenario.json"
#: Traces: the records of guests and Xen, and what dom0's programs said about them.
TRACES = ("xen.bin", "log", "*.records")
#: A binary file is compared in rows of this many bytes.
ROW = 16


@dataclass(frozen=True)
class Difference:
    """The first line in which two runs differ: its file, its number, and both texts."""

    file: str
    line: int
    one: str
    other: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}\n  - {self.one}\n  + {self.other}"


def write_scenario(run: RunDir, events: Sequence[Mapping[str, Any]]) -> None:
    """Write a run's events, with their virtual times, into its folder."""
    lines = "".join(f"{json.dumps(dict(event), sort_keys=True)}\n" for event in events)
    files.write_atomic(run.path / SCENARIO, lines)


def has_event(run: RunDir, what: str) -> bool:
    """Whether a run's scenario came to an event, such as ``decided``."""
    with contextlib.suppress(OSError, ValueError):
        lines = reading.text(run.path / SCENARIO).splitlines()
        return any(reading.parse_json(line).get("what") == what for line in lines)
    return False


def parts(run: RunDir) -> dict[str, str]:
    """The sha256 of each file that the digest covers, by its path in the run's folder."""
    return {
        str(path.relative_to(run.path)): files.sha256_file(path)
        for path in sorted(_covered(run), key=str)
    }


def of(found: Mapping[str, str]) -> str:
    """The digest over these files."""
    return files.sha256_json(dict(found))


def difference(one: RunDir, other: RunDir) -> Difference | None:
    """The first line that differs, in the first file that differs."""
    return _difference(one, other, parts(one).keys() | parts(other).keys())


def difference_from(reference: RunDir, run: RunDir) -> Difference | None:
    """The same, but only files that the reference has are compared."""
    return _difference(reference, run, parts(reference).keys())


def keep(run: RunDir, reference: Path) -> None:
    """Copy the readable files of a run (all but its traces) into a folder, as a reference."""
    files.remove_tree(reference)
    for name in parts(run):
        path = run.path / name
        if not path.is_relative_to(run.trace_dir):
            (reference / name).parent.mkdir(parents=True, exist_ok=True)
            (reference / name).write_bytes(reading.data(path, reading.IMAGE))


def _difference(one: RunDir, other: RunDir, names: Iterable[str]) -> Difference | None:
    here, there = parts(one), parts(other)
    for name in sorted(names, key=lambda name: (_rank(name), name)):
        if here.get(name) != there.get(name):
            return _first(name, one.path / name, other.path / name)
    return None


def _covered(run: RunDir) -> Iterator[Path]:
    yield from run.console_dir.glob("*.log")
    yield from (path for path in (run.times_file, run.path / SCENARIO) if path.exists())
    yield from (path for path in run.collected_dir.glob("*") if path.is_file())
    for pattern in TRACES:
        yield from run.trace_dir.glob(pattern)


def _rank(name: str) -> int:
    """The most helpful files first: guests' consoles, then Xen's and dom0's, then the rest."""
    if name.startswith("console/") and name.endswith(".log"):
        return 1 if name in ("console/xen.log", "console/dom0.log") else 0
    return 2 if name == SCENARIO else 3


def _first(name: str, one: Path, other: Path) -> Difference:
    pairs = itertools.zip_longest(_lines(one), _lines(other), fillvalue="(nothing)")
    for number, (here, there) in enumerate(pairs, 1):
        if here != there:
            return Difference(name, number, here, there)
    return Difference(name, 0, "(no such file)", "(no such file)")


def _lines(path: Path) -> list[str]:
    """A file's lines, escaped. A binary file has rows of bytes."""
    if not path.exists():
        return []
    raw = reading.data(path, reading.IMAGE)
    if path.suffix in (".bin", ".records"):
        return [f"{at:#010x} {raw[at : at + ROW].hex(' ')}" for at in range(0, len(raw), ROW)]
    return [escape(line) for line in raw.split(b"\n")]
