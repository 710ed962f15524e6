"""What timing traces cost: a record in instructions, a run in wall time."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable
from pathlib import Path

from lab.api import Context
from lab.bench.figure import Figure, at_most, command
from lab.errors import LabError

#: The same guest with both traces and without any.
TRACED, UNTRACED = "periodic", "untraced"
#: The lab that counts, and how long an instruction takes under the virtual clock, in seconds.
COST, INSTRUCTION = "trace-cost", 2e-9
_COUNTED = re.compile(r"(\d+) records took (\d+), as many empty rounds (\d+), of (\d+) Hz")


def measure(context: Context, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """The figures of tracing; both labs in turn, the medians count."""
    walls: dict[str, list[float]] = {TRACED: [], UNTRACED: []}
    for number in range(1, rounds + 1):
        for lab, found in walls.items():
            say(f"round {number} of {rounds}: lab.run {lab}")
            found.append(command(context, "lab.run", lab)["wall"])
    ratio = statistics.median(walls[TRACED]) / statistics.median(walls[UNTRACED])
    return [
        Figure("a guest's trace record", instructions(context), "instructions"),
        at_most("a traced run's wall time, to an untraced one", ratio, "x", 1.15),
    ]


def instructions(context: Context) -> float:
    """Instructions of one record, the call included."""
    said = command(context, "lab.run", COST)
    log = (Path(said["run"]) / "console" / f"{COST}.log").read_text(errors="replace")
    match = _COUNTED.search(log)
    if match is None:
        raise LabError(f"lab {COST} did not say what a record costs", tail=log)
    records, full, empty, hertz = map(int, match.groups())
    return (full - empty) / hertz / INSTRUCTION / records
