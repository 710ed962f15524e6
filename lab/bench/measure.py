"""The parts of ``./inv bench``. Most figures are medians, measured in turn with a baseline."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.api import Context, down, make_plan
from lab.api.serving import check_packages
from lab.bench import (
    alone,
    baseline,
    bundle_load,
    crowd,
    debugging,
    decoding,
    house,
    instant,
    limits,
    many,
    races,
    spread,
    tools_build,
    trace_cost,
    transfer,
)
from lab.bench.decoding import Decoding
from lab.bench.figure import Figure, at_least, at_most, command
from lab.errors import UsageError
from lab.images import dom0
from lab.util.deadline import Deadline
from lab.util.terminal import quote
from lab.workshop.prepare import Workshop

#: The lab that is measured.
LAB = "hello"
#: The stages of its boot, each with the phases at whose ends it begins and ends.
STAGES = (
    ("machine start", None, "qmp"),
    ("Xen", "qmp", "xen"),
    ("dom0 kernel", "xen", "init"),
    ("dom0 ready", "init", "dom0"),
    ("guest created", "dom0", "guests"),
    ("guest's first line", "guests", "first line"),
)


@dataclass
class Session:
    """One call of ``bench``. ``naive`` has the seconds of each naive boot, a frequent baseline."""

    context: Context
    workshop: Workshop
    rounds: int
    say: Callable[[str], None]
    naive: list[float] = field(default_factory=list)

    def boot_naively(self) -> float:
        """Boot once more in the naive way. Returns the seconds."""
        plan = make_plan(self.context, LAB)
        images = self.workshop.platform(plan)
        shop, arch = self.workshop, plan.machine.arch
        stock = dom0.packaged_kernel(shop.store, shop.packages(), arch)
        assert images.initramfs is not None
        naive = baseline.Naive(plan.machine, images.hypervisor, stock, images.initramfs)
        self.naive.append(baseline.boot(shop.toolchain, naive))
        return self.naive[-1]

    def slow(self) -> float:
        """The median of the naive boots (s). Boots until there is one for each round."""
        while len(self.naive) < self.rounds:
            self.say(f"round {len(self.naive) + 1} of {self.rounds}: naive boot")
            self.boot_naively()
        return statistics.median(self.naive)


def measure(
    context: Context,
    rounds: int,
    say: Callable[[str], None],
    *,
    full: bool = False,
    only: Sequence[str] = (),
) -> list[Figure]:
    """The figures of all parts, or of those in ``only``.

    Most are measured ``rounds`` times, and the figure is the median. ``full`` adds the parts that
    take many minutes.

    Raises:
        UsageError: there is no such part.
        LabError: a lab did not come up, or the measured lab is already running.
    """
    for name in only:
        if name not in PARTS | LONG_PARTS:
            known = ", ".join(PARTS | LONG_PARTS)
            raise UsageError(f"there is no part {quote(name)} to measure", hint=f"one of: {known}")
    wanted = only or [*PARTS, *(LONG_PARTS if full else ())]
    session = Session(context, context.workshop(), rounds, say)
    parts = PARTS | LONG_PARTS
    return [figure for name in wanted for figure in parts[name](session)]


def _boots(session: Session) -> list[Figure]:
    context, rounds, say = session.context, session.rounds, session.say
    images = session.workshop.platform(make_plan(context, LAB))
    slow, ups, injects, downs = [], [], [], []
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}: naive boot")
        slow.append(session.boot_naively())
        say(f"round {number} of {rounds}: lab.up, lab.inject, lab.down")
        ups.append(command(context, "lab.up", LAB, "--cold"))
        injects.append(command(context, "lab.inject", LAB, LAB))
        clock = Deadline(0)
        down(context, LAB)
        downs.append(clock.elapsed())
    assert images.initramfs is not None
    size = images.initramfs.size / 1e6
    limit = limits.of(context.arch)
    # Each boot is compared with the one before it: the host's speed changes from minute to minute.
    ready = (up["phases"]["dom0"] for up in ups)
    sooner = statistics.median(naive / quick for naive, quick in zip(slow, ready, strict=True))
    return [
        *_figures(slow, ups, injects, downs),
        at_most("initramfs", size, "MB", limit.initramfs),
        at_least("dom0 ready, speed-up over the naive boot", sooner, "x", limit.boot),
    ]


def _restored(session: Session) -> list[Figure]:
    with instant.bare(session.context) as context:
        toolchain = session.workshop.toolchain
        return instant.restored(context, toolchain, session.rounds, session.say)


def _guests(session: Session) -> list[Figure]:
    return instant.guests(session.context, session.slow(), session.rounds, session.say)


def _without_dom0(session: Session) -> list[Figure]:
    with alone.context(session.context) as context:
        return alone.measure(context, session.boot_naively, session.rounds, session.say)


def _clocks(session: Session) -> list[Figure]:
    return instant.clocks(session.context, session.rounds, session.say)


def _transfer(session: Session) -> list[Figure]:
    with instant.bare(session.context) as context:
        return transfer.measure(context, instant.BARE_NAME, session.rounds, session.say)


def _decoding(session: Session) -> list[Figure]:
    toolchain = session.workshop.toolchain
    return _of_traces(decoding.measure(toolchain, session.rounds, session.say))


def _tracing(session: Session) -> list[Figure]:
    return trace_cost.measure(session.context, session.rounds, session.say)


def _debug(session: Session) -> list[Figure]:
    return debugging.measure(session.context, session.rounds, session.say)


def _bundle(session: Session) -> list[Figure]:
    return bundle_load.measure(session.context, LAB, session.say)


def _house(session: Session) -> list[Figure]:
    return house.measure(session.rounds, session.say)


def _many(session: Session) -> list[Figure]:
    return many.measure(session.context, session.rounds, session.say)


def _matrix(session: Session) -> list[Figure]:
    return many.matrix(session.context, session.say)


def _crowd(session: Session) -> list[Figure]:
    with instant.bare(session.context) as context:
        return crowd.labs(context, instant.BARE_NAME, session.say)


def _digests(session: Session) -> list[Figure]:
    return crowd.runs(session.context, session.say)


def _tools(session: Session) -> list[Figure]:
    return tools_build.measure(session.workshop, session.say)


def _page(session: Session) -> list[Figure]:
    check_packages()
    from lab.bench import page

    return page.measure(session.context, session.say)


def _races(session: Session) -> list[Figure]:
    return list(races.measure(session.context, session.say))


def _cluster(session: Session) -> list[Figure]:
    return spread.measure(session.context, LAB, session.rounds, session.say)


#: The parts by name, in this order; then those that take many minutes.
PARTS: dict[str, Callable[[Session], list[Figure]]] = {
    "boots": _boots,
    "restored": _restored,
    "guests": _guests,
    "without-dom0": _without_dom0,
    "clocks": _clocks,
    "transfer": _transfer,
    "decoding": _decoding,
    "tracing": _tracing,
    "house": _house,
    "debug": _debug,
    "many": _many,
    "bundle": _bundle,
}
LONG_PARTS: dict[str, Callable[[Session], list[Figure]]] = {
    "crowd": _crowd,
    "digests": _digests,
    "tools": _tools,
    "matrix": _matrix,
    "races": _races,
    "cluster": _cluster,
    "page": _page,
}


def _figures(
    naive: list[float],
    ups: list[dict[str, Any]],
    injects: list[dict[str, Any]],
    downs: list[float],
) -> list[Figure]:
    median = statistics.median
    stages = [Figure(name, median(_between(up, a, b) for up in ups), "s") for name, a, b in STAGES]
    ready = [up["phases"]["dom0"] for up in ups]
    # Until xl has listed the domains, the machine is at work. The rest is our own share.
    own = median(up["wall"] - up["phases"]["listed"] for up in ups)
    inject = median(each["wall"] for each in injects)
    return [
        *stages,
        Figure("lab.up --cold, all cached", median(up["wall"] for up in ups), "s"),
        at_most("our own share of lab.up", own, "s", 0.5),
        at_most("lab.inject", inject, "s", 4.0),
        Figure("lab.down", median(downs), "s"),
        Figure("our peak memory", max(up["peak_memory"] for up in ups) / 1e6, "MB"),
        Figure("dom0 ready", median(ready), "s"),
        Figure("dom0 ready, naive boot", median(naive), "s"),
    ]


def _of_traces(found: Decoding) -> list[Figure]:
    ratio, name = found.seconds / found.xenalyze, f"traces: {found.megabytes:.0f} MB"
    return [
        Figure(f"{name} decoded and merged", found.seconds, "s"),
        Figure(f"{name}, with the start of Python", found.whole, "s"),
        Figure(f"{name}, xenalyze --summary", found.xenalyze, "s"),
        at_most("traces: decoding, to xenalyze", ratio, "x", decoding.RATIO),
        at_most("traces: peak memory", found.memory / 1e6, "MB", decoding.MEMORY / 1e6),
    ]


def _between(up: dict[str, Any], start: str | None, end: str) -> float:
    phases = up["phases"]
    return float(phases[end] - (phases[start] if start else 0.0))
