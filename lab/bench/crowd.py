"""Measures many labs at once, and many runs. It takes minutes: only ``bench --full`` does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lab.api import Context, list_labs, repeat, status, up_several
from lab.bench import instant
from lab.bench.figure import Figure
from lab.util.deadline import Deadline

#: How many labs run on one machine. Each has some 35 MB of memory of its own.
CROWD = 64
#: How often each lab that ships is run.
RUNS = 10


def labs(
    context: Context, name: str, say: Callable[[str], None], count: int = CROWD
) -> list[Figure]:
    """Start many labs of one kind. Each must answer, and must still run afterwards.

    Raises:
        LabError: one of them did not come up.
    """
    say(f"{count} labs at once")
    clock = Deadline(0)
    try:
        ups = up_several(context, name, count)
        seconds = clock.elapsed()
        answered = sum("agent" in one.phases for one in ups)
        names = {one.name for one in ups}
        found = [one for one in status(context) if one.name in names]
        there = sum(bool(one.domains) and not one.problem for one in found)
    finally:
        instant.stop(context, name, count)
    return [
        Figure(f"{count} labs at once: whole command", seconds, "s"),
        Figure(f"{count} labs: dom0 answered", answered, "", f"= {count}", answered == count),
        Figure(f"{count} labs: lost", count - there, "", "= 0", there == count),
    ]


def runs(
    context: Context, say: Callable[[str], None], names: Sequence[str] = (), times: int = RUNS
) -> list[Figure]:
    """Run each lab of labs.yaml several times under the virtual clock. Its runs must be the same.

    Raises:
        LabError: a lab cannot be run at all.
    """
    found = []
    for name in names or [one.name for one in list_labs(context)]:
        say(f"{times} runs of {name}")
        digests = {one.digest for one in repeat(context, name, times).runs}
        right = len(digests) == 1 and "" not in digests
        found.append(Figure(f"digests of {times} runs, {name}", len(digests), "", "= 1", right))
    return found
