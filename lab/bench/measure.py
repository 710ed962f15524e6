"""What ``./inv bench`` measures, each figure several times in turn with the baseline."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from lab.api import Context, down, make_plan
from lab.bench import baseline, decoding, instant, tracing
from lab.bench.decoding import Decoding
from lab.bench.figure import Figure, at_least, at_most, command
from lab.images import dom0
from lab.model import Images
from lab.util.deadline import Deadline

#: The lab that is measured.
LAB = "hello"
#: Its stages, and the marks between which each lies.
STAGES = (
    ("machine start", None, "qmp"),
    ("Xen", "qmp", "xen"),
    ("dom0 kernel", "xen", "init"),
    ("dom0 ready", "init", "dom0"),
    ("guest created", "dom0", "guests"),
    ("guest's first line", "guests", "first line"),
)


def measure(context: Context, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """All figures. ``rounds`` is how often each boot is repeated; the median counts.

    Raises:
        LabError: a lab did not come up, or the measured lab runs already.
    """
    workshop = context.workshop()
    images = workshop.platform(make_plan(context, LAB))
    stock = dom0.packaged_kernel(workshop.store, workshop.packages())
    naive, ups, injects, downs = [], [], [], []
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}: naive boot")
        naive.append(baseline.boot(workshop.toolchain, images.hypervisor, stock, images.initramfs))
        say(f"round {number} of {rounds}: lab.up, lab.inject, lab.down")
        ups.append(command(context, "lab.up", LAB, "--cold"))
        injects.append(command(context, "lab.inject", LAB, LAB))
        clock = Deadline(0)
        down(context, LAB)
        downs.append(clock.elapsed())
    decoded = _of_traces(decoding.measure(workshop.toolchain, rounds, say))
    figures = _figures(naive, ups, injects, downs, images)
    slow = statistics.median(naive)
    restored = instant.measure(context, workshop.toolchain, slow, rounds, say)
    return [*figures, *restored, *decoded, *tracing.measure(context, rounds, say)]


def _figures(
    naive: list[float],
    ups: list[dict[str, Any]],
    injects: list[dict[str, Any]],
    downs: list[float],
    images: Images,
) -> list[Figure]:
    median = statistics.median
    stages = [Figure(name, median(_between(up, a, b) for up in ups), "s") for name, a, b in STAGES]
    ready = median(up["phases"]["dom0"] for up in ups)
    slow = median(naive)
    # Until xl has listed the domains, the machine works; the rest of the time is ours.
    own = median(up["wall"] - up["phases"]["listed"] for up in ups)
    inject = median(each["wall"] for each in injects)
    size = images.initramfs.size / 1e6
    return [
        *stages,
        Figure("lab.up --cold, all cached", median(up["wall"] for up in ups), "s"),
        at_most("our own share of lab.up", own, "s", 0.5),
        at_most("lab.inject", inject, "s", 4.0),
        Figure("lab.down", median(downs), "s"),
        at_most("initramfs", size, "MB", 6.0),
        Figure("our peak memory", max(up["peak_memory"] for up in ups) / 1e6, "MB"),
        Figure("dom0 ready", ready, "s"),
        Figure("dom0 ready, naive boot", slow, "s"),
        at_least("sooner than the naive boot", slow / ready, "x", 2.5),
    ]


def _of_traces(found: Decoding) -> list[Figure]:
    ratio, name = found.seconds / found.xenalyze, f"traces: {found.megabytes:.0f} MB"
    return [
        Figure(f"{name} decoded and merged", found.seconds, "s"),
        Figure(f"{name}, with Python's start", found.whole, "s"),
        Figure(f"{name}, xenalyze --summary", found.xenalyze, "s"),
        at_most("traces: decoding to xenalyze", ratio, "x", decoding.RATIO),
        at_most("traces: peak memory", found.memory / 1e6, "MB", decoding.MEMORY / 1e6),
    ]


def _between(up: dict[str, Any], start: str | None, end: str) -> float:
    phases = up["phases"]
    return float(phases[end] - (phases[start] if start else 0.0))
