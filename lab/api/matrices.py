"""Matrices: many labs are run and compared in one table and one picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lab import config
from lab.api import beside
from lab.api.beside import Work
from lab.api.context import Context
from lab.api.plans import make_plan
from lab.api.runs import run
from lab.config.units import nearest
from lab.errors import LabError, UsageError
from lab.explore import matrix, picture
from lab.explore.matrix import Cell, MatrixResult
from lab.model import Architecture, Clock
from lab.rundir import RunDir, new_folder
from lab.util import files
from lab.util.terminal import quote


@dataclass(frozen=True)
class Compared:
    """The results of a matrix, and the folder with its table and, if it was drawn, its picture."""

    outcome: MatrixResult
    folder: Path

    def brief(self) -> tuple[list[str], list[list[str]]]:
        """The header and the rows of the short table."""
        return matrix.brief(self.outcome)


def compare(
    context: Context, name: str, clock: str = Clock.VIRTUAL, archs: Sequence[Architecture] = (),
    jobs: int = 0,
) -> Compared:  # fmt: skip
    """Run every lab of a matrix, and compare their traces.

    If a lab fails, its cell has no figures, and the others still run. ``archs``: run each lab on
    these architectures, instead of those that the matrix names. ``jobs``: how many labs at a time;
    0: as many as this machine has room for. Without the package matplotlib no picture is drawn.

    Raises:
        ConfigError, UsageError: labs.yaml or the name is wrong, or a lab has something that an
            architecture lacks.
    """
    if clock not in set(Clock):
        raise UsageError(f"no clock {quote(clock)}{nearest(clock, Clock)}")
    wanted = config.find_matrix(context.labs(), name)
    on = _contexts(context, archs or wanted.archs)
    works = [
        _work(one, Clock(clock), Cell(row, column + words, lab, ""))
        for row, labs in wanted.rows.items()
        for column, lab in zip(wanted.columns, labs, strict=True)
        for words, one in on.items()
    ]
    if not picture.possible():
        context.progress.say(f"only the table: {picture.MISSING}; {picture.HINT}")
    folder = new_folder(context.runs / f"matrix-{name}")
    columns = tuple(column + words for column in wanted.columns for words in on)
    cells = tuple(beside.run_all(context, works, jobs))
    outcome = MatrixResult(name, wanted.description, clock, columns, cells)
    _keep(folder, outcome)
    return Compared(outcome, folder)


def _contexts(context: Context, archs: Sequence[Architecture]) -> dict[str, Context]:
    """A context for each architecture, and what it adds to the names of columns."""
    if not archs:
        return {"": context}
    return {f", {arch.xen}": replace(context, arch=arch) for arch in archs}


def _work(context: Context, clock: Clock, cell: Cell) -> Work[Cell]:
    """To run the lab of a cell. Making its plan refuses what its architecture lacks."""
    cell = replace(cell, arch=context.arch.xen if context.arch else "")
    plan = make_plan(context, cell.lab, clock, first=True)

    def run_it(inner: Context) -> Cell:
        return _filled(replace(inner, arch=context.arch), clock, cell)

    title = f"{cell.row}, {cell.column}: lab {cell.lab}"
    return Work(title, plan, run_it, lambda filled: filled.problem or "PASS")


def _filled(context: Context, clock: Clock, cell: Cell) -> Cell:
    """Run the lab of a cell."""
    try:
        done = run(context, cell.lab, clock=clock)
    except LabError as error:
        if error.layer is None:
            raise
        return replace(cell, problem=error.message)
    verdict = done.report.verdict
    if not verdict.passed:
        return replace(cell, run=str(done.run), problem=verdict.reason)
    return replace(cell, run=str(done.run), tasks=_tasks(done.run))


def _tasks(folder: Path) -> tuple[matrix.Task, ...]:
    # Imported here, because reading traces needs numpy, whose import takes long.
    from lab.trace import stats, timeline

    return matrix.tasks_of(stats.figures(timeline.load(RunDir(folder))))


def _keep(folder: Path, outcome: MatrixResult) -> None:
    files.write_atomic(folder / "outcome.json", json.dumps(asdict(outcome), indent=1) + "\n")
    files.write_atomic(folder / "table.md", matrix.markdown(outcome))
    if picture.possible():
        picture.draw(outcome, folder / "picture.svg", folder / "picture.png")
