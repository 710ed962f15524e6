"""Measures how soon a guest runs that Xen boots without dom0, against the naive boot."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import yaml

from lab.api import Context, down
from lab.bench import limits
from lab.bench.figure import Figure, at_least, said
from lab.machine.shared_console import TICKS, TIMES
from lab.rundir import RunDir
from lab.util.resources import resource

#: The lab: one FreeRTOS guest, and no dom0.
NAME, GUEST = "alone", "early"


@contextlib.contextmanager
def context(like: Context) -> Iterator[Context]:
    """A folder whose labs.yaml has the lab; the rest is as in ``like``."""
    app = str(resource("images/freertos/apps/hello"))
    labs = {
        "guests": {GUEST: {"freertos": app, "start": "device-tree"}},
        "labs": {
            NAME: {
                "dom0": False,
                "guests": [GUEST],
                "expect": [{"on": GUEST, "line": "hello from FreeRTOS", "within": "10s"}],
            }
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "labs.yaml"
        file.write_text(yaml.safe_dump(labs))
        yield replace(like, file=file)


def measure(
    found: Context, naive: Callable[[], float], rounds: int, say: Callable[[str], None]
) -> list[Figure]:
    """From QEMU's start to the guest's first line, and the same in virtual time.

    ``naive`` boots in the naive way, and returns the seconds until dom0's agent answers. It is
    called once in each round, because the host's speed changes from minute to minute.

    Raises:
        LabError: a lab did not come up.
    """
    say("a guest without dom0")
    said(found, "lab.up", NAME)
    down(found, NAME)
    firsts, ratios = [], []
    for _ in range(rounds):
        slow = naive()
        firsts.append(said(found, "lab.up", NAME)["phases"]["first line"])
        down(found, NAME)
        ratios.append(slow / firsts[-1])
    run = RunDir(Path(said(found, "lab.run", NAME)["run"]))
    what, sooner = "without dom0, until the guest prints", limits.of(found.arch).alone
    return [
        Figure(what, statistics.median(firsts), "s"),
        Figure(f"{what}, virtual time", _first_line(run), "s"),
        at_least(f"{what}, speed-up over the naive boot", statistics.median(ratios), "x", sooner),
    ]


def _first_line(run: RunDir) -> float:
    """Virtual seconds from power-on to the guest's first line, by Xen's clock."""
    times = run.console(GUEST).with_suffix(TIMES).read_text().splitlines()
    return int(times[1].split()[2]) / TICKS
