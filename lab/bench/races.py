"""Counts seeds that show the races of the labs that ship, and seeds that break the fixed ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lab.api import Context, ExploreOptions, explore
from lab.bench.figure import Figure, at_least, no_more

#: The labs, each with a fixed version; and how many seeds find the race, or must all pass.
LABS = ("lost-wakeup", "inversion")
FINDS, PASS = 200, 2000


def measure(context: Context, say: Callable[[str], None]) -> Iterator[Figure]:
    """Explore each lab and its fixed version.

    Raises:
        LabError: a lab could not be run.
    """
    for name in LABS:
        found = _failed(context, name, FINDS, say)
        yield at_least(f"{name}, seeds of {FINDS} that fail", found, "", 1)
        fixed = _failed(context, f"{name}-fixed", PASS, say)
        yield no_more(f"{name}-fixed, seeds of {PASS} that fail", fixed, "", 0)


def _failed(context: Context, name: str, seeds: int, say: Callable[[str], None]) -> int:
    say(f"{seeds} seeds of lab {name}")
    found = explore(context, name, range(1, seeds + 1), ExploreOptions(shrink=False))
    return len(found.outcome.failed)
