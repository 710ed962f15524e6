"""Makes one outcome from the parts that several machines ran."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.api import outcomes
from lab.api.context import Context
from lab.api.outcomes import Differing
from lab.api.runs import make_way
from lab.errors import UsageError
from lab.explore import outcome
from lab.explore.outcome import MISSING, Outcome, Row
from lab.model import ExitStatus
from lab.rundir import new_folder
from lab.util import files, reading
from lab.util.terminal import escape

#: The largest JUnit file of a part, in bytes.
MOST = 64 << 20


@dataclass(frozen=True)
class Merged:
    """The outcome of all parts, and the folder with the table, the JUnit file and
    ``outcome.json``."""

    outcome: Outcome
    folder: Path
    differing: tuple[Differing, ...] = ()

    @property
    def exit_status(self) -> int:
        """The worst one; at least 1 if digests differ."""
        apart = [int(ExitStatus.GUEST)] if self.differing else []
        return outcome.worst([self.outcome.exit_status, *apart])

    def table(self) -> tuple[Sequence[str], list[list[str]]]:
        """Its header and its rows."""
        return outcome.HEADER, outcome.cells(self.outcome.rows)

    def markdown(self) -> str:
        """The table for the page of a CI job."""
        return outcome.markdown(self.outcome.rows)

    def summary(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return outcome.dump(self.outcome) | {
            "exit_status": self.exit_status,
            "passed": self.outcome.passed,
            "folder": str(self.folder),
            "differing": [one.summary() for one in self.differing],
        }


@dataclass(frozen=True)
class _Part:
    place: Path
    outcome: Outcome

    @property
    def runs(self) -> Path:
        """The folder of all runs that this one came from, if it was copied whole."""
        return self.place.parent.parent


def merge(context: Context, folders: Sequence[Path], junit: Path | None = None) -> Merged:
    """One table, one JUnit file and one comparison of digests, from the outcomes of several
    commands. A lab that no part ran gets a row, and is a failure.

    ``folders``: each a folder of ``runs/many-runs/``, or a copy of ``runs/``. ``junit``: also
    write all verdicts there.

    Raises:
        UsageError: a folder has no outcome, or the parts do not belong together; ``junit`` cannot
            be written.
    """
    if junit:
        make_way(junit)
    parts = [_Part(*one) for one in outcomes.parts(folders, Outcome)]
    _check(parts)
    found = Outcome(parts[0].outcome.asked, tuple(_rows(parts)))
    folder = new_folder(context.runs / outcomes.PLACE)
    suites = _junit(parts, found)
    outcomes.write(folder, found, suites)
    if junit:
        files.write_atomic(junit, suites)
    homes = {id(row): part.runs for part in parts for row in part.outcome.rows}
    ran = [row for part in parts for row in part.outcome.rows]
    return Merged(found, folder, outcomes.compared(ran, lambda row: homes[id(row)] / row.run))


def _check(parts: Sequence[_Part]) -> None:
    """Raise a UsageError if parts were not asked for the same labs."""
    first = parts[0]
    for part in parts[1:]:
        if part.outcome.asked != first.outcome.asked:
            raise UsageError(
                f"{escape(str(part.place))} and {escape(str(first.place))} do not belong together: "
                "they were asked for different labs",
                hint="give each shard the same names and the same labs.yaml",
            )


def _rows(parts: Sequence[_Part]) -> list[Row]:
    """All rows, in the order in which the labs were asked for."""
    ran = [row for part in parts for row in part.outcome.rows]
    rows = []
    for name in parts[0].outcome.asked:
        some = [row for row in ran if row.name == name]
        rows += some or [_missing(name, parts)]
    return rows


def _missing(name: str, parts: Sequence[_Part]) -> Row:
    shards = [part.outcome.shard for part in parts if part.outcome.shard]
    count = max((one.count for one in shards), default=1)
    absent = sorted(set(range(1, count + 1)) - {one.number for one in shards})
    if shards and absent:
        words = ", ".join(f"{number}/{count}" for number in absent)
        reason = f"no part ran it; these shards are not here: {words}"
    else:
        reason = "no part ran it: one was interrupted" + (
            f", or the shards had different files {outcomes.TIMES}" if shards else ""
        )
    return Row(name, name, MISSING, int(ExitStatus.INFRASTRUCTURE), reason, 0.0, 0.0)


def _junit(parts: Sequence[_Part], found: Outcome) -> bytes:
    """The suites of all parts, in the order of the table, and one for each missing lab."""
    suites: list[ET.Element] = []
    for part in parts:
        file = part.place / outcomes.JUNIT
        try:
            suites += ET.fromstring(reading.data(file, MOST)).findall("testsuite")
        except (OSError, ET.ParseError) as error:
            raise UsageError(f"{escape(str(file))}: {error}", hint="copy it again") from error
    order = {name: number for number, name in enumerate(found.asked)}
    root = ET.Element("testsuites")
    suites += [_suite_of(row) for row in found.rows if row.verdict == MISSING]
    root.extend(sorted(suites, key=lambda one: order.get(one.get("name", ""), len(order))))
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _suite_of(row: Row) -> ET.Element:
    suite = ET.Element("testsuite", name=row.name, tests="1", failures="0", errors="1", skipped="0")
    case = ET.SubElement(suite, "testcase", classname=row.name, name="the lab runs")
    ET.SubElement(case, "error", type="toolchain", message=row.reason)
    return suite


def write_times(context: Context, merged: Merged) -> Path:
    """Write how long each lab took into ``times.json`` beside labs.yaml; returns the file."""
    return outcomes.write_times(context, merged.outcome.rows)
