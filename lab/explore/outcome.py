"""The outcome of many runs as a table, and as a file that another machine can read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from lab.explore import shards
from lab.explore.shards import Shard
from lab.model import ExitStatus

#: From the best to the worst. The further down a failure is, the less the others mean.
ORDER = (
    ExitStatus.PASS, ExitStatus.GUEST, ExitStatus.TOOLSTACK, ExitStatus.PLATFORM,
    ExitStatus.INFRASTRUCTURE, ExitStatus.USAGE,
)  # fmt: skip
#: The header of the table.
HEADER = ("Lab", "Verdict", "Watched for", "Digest", "Published", "Run")
#: The verdict of a lab that no part ran.
MISSING = "MISSING"


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        lab: its title: the lab's name, with the architecture unless that is the first one.
        verdict: ``PASS``, ``FAIL`` with the layer, or ``MISSING``.
        watched: how long its scenario took, in seconds of its clock.
        seconds: how long the whole run took on the host.
        published: ``same``, ``differs`` or ``none``: compared with the lock's digest.
        run: its folder, relative to the folder of all runs.
    """

    name: str
    lab: str
    verdict: str
    exit_status: int
    reason: str
    watched: float
    seconds: float
    digest: str = ""
    published: str = "none"
    run: str = ""


@dataclass(frozen=True)
class Outcome:
    """What one command ran.

    Attributes:
        asked: the names of the labs that all shards together run.
        shard: the part that this command took; ``None``: all.
    """

    asked: tuple[str, ...]
    rows: tuple[Row, ...]
    shard: Shard | None = None

    @property
    def passed(self) -> int:
        """How many passed."""
        return sum(row.exit_status == ExitStatus.PASS for row in self.rows)

    @property
    def exit_status(self) -> int:
        """The worst one; :data:`ORDER` says which is worse."""
        return worst(row.exit_status for row in self.rows)


def worst(statuses: Iterable[int]) -> int:
    """The worst of exit statuses."""
    return int(max((ExitStatus(one) for one in statuses), key=ORDER.index, default=0))


def cells(rows: Sequence[Row]) -> list[list[str]]:
    """The table's cells, below :data:`HEADER`."""
    return [
        [row.lab, row.verdict, f"{row.watched:.1f} s" if row.run else "", row.digest[:12] or "none",
         row.published, row.run]
        for row in rows
    ]  # fmt: skip


def markdown(rows: Sequence[Row]) -> str:
    """The table as Markdown."""
    lines = [HEADER, ["---"] * len(HEADER), *cells(rows)]
    return "".join("| " + " | ".join(one.replace("|", "/") for one in line) + " |\n"
                   for line in lines)  # fmt: skip


def dump(outcome: Outcome) -> dict[str, Any]:
    """As a file has it."""
    return {
        "asked": list(outcome.asked),
        "shard": str(outcome.shard) if outcome.shard else None,
        "rows": [asdict(row) for row in outcome.rows],
    }


def load(found: Any) -> Outcome:
    """What :func:`dump` made.

    Raises:
        ValueError: it is something else.
    """
    try:
        text = found["shard"]
        shard = shards.parse(text) if text else None
        rows = tuple(_row(row) for row in found["rows"])
        asked = tuple(_text(name) for name in found["asked"])
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not an outcome: {error}") from error
    if text and shard is None:
        raise ValueError("not an outcome: a wrong shard")
    return Outcome(asked, rows, shard)


def _row(found: Mapping[str, Any]) -> Row:
    kinds = {"exit_status": int, "watched": (int, float), "seconds": (int, float)}
    for field in fields(Row):
        if not isinstance(found[field.name], kinds.get(field.name, str)):  # type: ignore[arg-type]
            raise TypeError(f"{field.name} is wrong")
    ExitStatus(found["exit_status"])
    if found["run"] and not re.fullmatch(r"(?!\.)[^/]+/(?!\.)[^/]+", found["run"]):
        raise TypeError("run is wrong")
    return Row(**{field.name: found[field.name] for field in fields(Row)})


def _text(found: Any) -> str:
    if not isinstance(found, str):
        raise TypeError("a name is wrong")
    return found


def differing(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Pairs of runs of the same lab whose digests differ: the first, and each that differs.

    A run that the infrastructure ended says nothing about the lab.
    """
    first: dict[str, Row] = {}
    pairs = []
    for row in rows:
        if row.exit_status == ExitStatus.INFRASTRUCTURE:
            continue
        if row.digest and first.setdefault(row.lab, row).digest != row.digest:
            pairs.append((first[row.lab], row))
    return pairs
