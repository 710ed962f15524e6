"""Measures runs side by side against one after another, and our own share of a run."""

from __future__ import annotations

import functools
import math
import os
import statistics
import sys
from collections.abc import Callable

from lab.api import Context
from lab.bench.figure import LONGEST, Figure, at_least, at_most, said
from lab.errors import LabError
from lab.explore.side_by_side import processors
from lab.util import process, together
from lab.util.deadline import Deadline

#: The lab that is run, how often at least in one measurement, and for how many seconds: what a
#: command does once must not count.
LAB, LEAST, LASTS = "hello", 48, 30.0
#: The matrix that is run as a whole.
MATRIX = "scheduling"
#: How many times sooner runs side by side must be done than one after another, on this many
#: processors or more. ``AS_MANY``: as many at a time as there is room for.
SOONER, PROCESSORS, AS_MANY = 1.8, 2, 0
#: The most CPU time (s) that our own process may use for a run, and how many runs of a round are
#: measured: a processor is not always equally fast.
OWN, OWN_RUNS = 0.5, 5
#: A program that needs a processor and nothing else, for a second or two.
COMPUTES = "for number in range(20_000_000): number * number"
#: Runs a command, and prints the CPU time (s) of this process alone (getrusage(2)).
TIMED = """
import atexit, resource, sys
def tell():
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime)
atexit.register(tell)
from lab.__main__ import main
main()
"""


def measure(context: Context, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """Runs of one lab out of its template.

    Raises:
        LabError: a run failed.
    """
    said(context, "lab.run", LAB)  # makes its template
    runs = max(LEAST, math.ceil(LEAST * LASTS / _repeated(context, LEAST, 1)))
    alone, ratios, pairs, own, pure = [], [], [], [], []
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}: {runs} runs one after another, then side by side")
        alone.append(_repeated(context, runs, 1))
        ratios.append(alone[-1] / _repeated(context, runs, AS_MANY))
        pairs.append(alone[-1] / _repeated(context, runs, 2))
        own += [_own(context) for _ in range(OWN_RUNS)]
        pure.append(_pure())
    return [
        Figure(f"{LAB}: runs a minute, one after another", 60 * runs / min(alone), ""),
        _sooner(f"{LAB}: runs a minute, side by side, to one", statistics.median(ratios)),
        Figure(f"{LAB}: runs a minute, 2 at a time, to one", statistics.median(pairs), "x"),
        Figure("programs that only compute, 2 at a time, to one", statistics.median(pure), "x"),
        at_most("our own CPU time in a run", statistics.median(own), "s", OWN),
    ]


def matrix(context: Context, say: Callable[[str], None]) -> list[Figure]:
    """A whole matrix, which takes minutes.

    Raises:
        LabError: a lab of it failed.
    """
    took = []
    for jobs in (AS_MANY, 1, AS_MANY):  # the first time makes templates and images
        say(f"lab.matrix {MATRIX}" + (f" --jobs {jobs}" if jobs else ""))
        took.append(_timed(context, "lab.matrix", MATRIX, "--jobs", str(jobs)))
    return [_sooner(f"lab.matrix {MATRIX}, labs side by side, to one", took[1] / took[2])]


def _sooner(name: str, ratio: float) -> Figure:
    """A figure that has a target if there are enough processors for it."""
    enough = processors() >= PROCESSORS
    return at_least(name, ratio, "x", SOONER) if enough else Figure(name, ratio, "x")


def _repeated(context: Context, runs: int, jobs: int) -> float:
    return _timed(context, "lab.run", LAB, "--repeat", str(runs), "--jobs", str(jobs))


def _timed(context: Context, *words: str) -> float:
    """The seconds that a command takes."""
    clock = Deadline(0)
    said(context, *words)
    return clock.elapsed()


def _pure() -> float:
    """How many times sooner this machine computes two things at once than one after another.

    Processors of a virtual machine may share one of the host: then nothing is twice as fast.
    """
    argv = [sys.executable, "-c", COMPUTES]
    clock = Deadline(0)
    for _ in range(2):
        process.run(argv, timeout=LONGEST)
    alone, clock = clock.elapsed(), Deadline(0)
    together.all_of([functools.partial(process.run, argv, timeout=LONGEST)] * 2)
    return alone / clock.elapsed()


def _own(context: Context) -> float:
    argv = [sys.executable, "-c", TIMED, "lab.run", LAB, "--labs", str(context.file)]
    done = process.run(argv, env=dict(os.environ), timeout=LONGEST)
    if done.returncode:
        raise LabError(f"lab.run {LAB} failed", tail=done.stderr.decode(errors="replace"))
    return float(done.stdout.split()[-1])
