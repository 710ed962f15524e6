"""Reads limits for figures of a lab's traces: those of labs.yaml, and one typed as a sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from lab.config import schema, units
from lab.config.yaml_source import Loc, Source
from lab.errors import UsageError
from lab.model import Lab, Threshold
from lab.util.suggest import nearest
from lab.util.terminal import quote

#: The figures: times, and counts.
FIGURES = (
    "release_jitter", "response_time", "execution", "interrupts", "own", "hypervisor", "blocked",
    "backlog", "wakeup_latency",
)  # fmt: skip
STATISTICS = ("min", "mean", "p50", "p99", "p999", "max")
COUNTS = ("misses", "unfinished")


def of_sentence(text: str, lab: Lab) -> tuple[Threshold, ...]:
    """The limit that a sentence sets: ``p99 release jitter of control < 200us``.

    Raises:
        UsageError: it is no such sentence, or the lab keeps no trace that tells.
    """
    source = Source(Path("limit"))
    try:
        shape = schema.Threshold.model_validate(units.limit(text))
        found = read(source, (), shape, lab)
    except ValidationError as error:
        raise UsageError(f"{quote(text)}: {_words(error)}") from None
    except ValueError as error:
        raise UsageError(str(error)) from None
    for _, words in source.taken():
        raise UsageError(f"{quote(text)}: {words}")
    return tuple(replace(one, line=0) for one in found)


def _words(error: ValidationError) -> str:
    """What is wrong, without the kind of the error that pydantic puts before it."""
    return error.errors()[0]["msg"].removeprefix("Value error, ")


def read(source: Source, at: Loc, shape: schema.Threshold, lab: Lab) -> list[Threshold]:
    """The limits in one entry, one for each statistic or count."""
    traced = lab.traced
    if not traced:
        source.add(at, "no guest of this lab keeps a trace; add 'trace: true' to one")
    elif shape.guest is not None and shape.guest not in traced:
        near = nearest(shape.guest, traced)
        source.add((*at, "guest"), f"this lab has no traced guest {quote(shape.guest)}{near}")
    given = {name: value for name, value in dict(shape).items() if value is not None}
    times = [name for name in STATISTICS if name in given]
    counts = [name for name in COUNTS if name in given]
    if not times and not counts:
        source.add(at, f"a threshold needs a limit: one of {', '.join((*STATISTICS, *COUNTS))}")
    if times and shape.figure is None:
        source.add(at, f"'figure' is missing: one of {', '.join(FIGURES)}")
    if shape.figure is not None and shape.figure not in FIGURES:
        near = nearest(shape.figure, FIGURES)
        source.add((*at, "figure"), f"no figure {quote(shape.figure)}{near}")
    figure, guest, line = shape.figure or "", shape.guest or "", source.line(at)
    found = [Threshold(shape.task, figure, float(given[name]), name, guest, line) for name in times]
    return found + [
        Threshold(shape.task, name, float(given[name]), "", guest, line) for name in counts
    ]
