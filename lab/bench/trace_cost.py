"""Measures what timing traces cost: instructions for a record, wall time for a run.

The same guest runs with both traces (Xen's and its own) and with none, under either clock. Neither
lab has thresholds, because the time to read a trace is not part of the cost of taking it.
"""

from __future__ import annotations

import re
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lab.api import Context
from lab.bench.figure import Figure, at_most, command
from lab.errors import LabError
from lab.model import Clock
from lab.util.resources import resource

#: The labs that are compared, as a labs.yaml. ``{app}`` is the guests' source.
TRACED, UNTRACED = "traced", "untraced"
LABS = """\
hypervisors: {{stock: {{from: package}}}}
guests:
  traced: {{freertos: {app}, trace: true}}
  untraced: {{freertos: {app}}}
labs:
  traced:
    trace: {{xen: [sched]}}
    guests: [traced]
    expect: [{{on: traced, line: "periodic: PASS", within: 60s}}]
  untraced:
    guests: [untraced]
    expect: [{{on: untraced, line: "periodic: PASS", within: 60s}}]
"""
#: The lab that counts instructions, and the seconds that one takes under the virtual clock.
COST, INSTRUCTION = "trace-cost", 2e-9
_COUNTED = re.compile(r"(\d+) records took (\d+), as many empty rounds (\d+), of (\d+) Hz")


def measure(context: Context, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """The figures of tracing.

    Raises:
        LabError: a run failed, or its guest did not print the cost of a record.
    """
    figures = [Figure("a guest's trace record", instructions(context), "instructions")]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "labs.yaml"
        file.write_text(LABS.format(app=resource("images", "freertos", "apps", "periodic")))
        for clock in Clock:
            found = ratio(replace(context, file=file), clock, rounds, say)
            name = f"a traced run's wall time, to an untraced one, {clock} clock"
            figures.append(at_most(name, found, "x", 1.15))
    return figures


def ratio(context: Context, clock: Clock, rounds: int, say: Callable[[str], None]) -> float:
    """How much longer ``lab.run`` takes with traces: the median ratio of pairs of runs."""
    walls: dict[str, list[float]] = {TRACED: [], UNTRACED: []}
    for lab in walls:
        command(context, "lab.run", lab, "--clock", clock)  # makes its template
    for number in range(1, rounds + 1):
        for lab, found in walls.items():
            say(f"round {number} of {rounds}: lab.run {lab}, {clock} clock")
            found.append(command(context, "lab.run", lab, "--clock", clock)["wall"])
    pairs = zip(walls[TRACED], walls[UNTRACED], strict=True)
    return statistics.median(traced / untraced for traced, untraced in pairs)


def instructions(context: Context) -> float:
    """How many instructions one record takes, including the call. Runs the lab that counts them."""
    said = command(context, "lab.run", COST)
    log = (Path(said["run"]) / "console" / f"{COST}.log").read_text(errors="replace")
    match = _COUNTED.search(log)
    if match is None:
        raise LabError(f"lab {COST} did not print what a record costs", tail=log)
    records, full, empty, hertz = map(int, match.groups())
    return (full - empty) / hertz / INSTRUCTION / records
