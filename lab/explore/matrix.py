"""The results of a matrix of labs as a table: figures for each cell.

The figures come from :mod:`lab.trace.stats`. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Task:
    """A periodic task in one cell: its release jitter (s), and how many deadlines it missed."""

    name: str
    jobs: int
    misses: int
    jitter_p50: float
    jitter_p99: float
    jitter_max: float
    response_max: float

    @property
    def missed(self) -> float:
        """The share of its jobs that missed their deadline, 0 to 1."""
        return self.misses / self.jobs if self.jobs else 0.0


@dataclass(frozen=True)
class Cell:
    """One lab of the matrix. ``problem`` says why it has no figures; it is empty if it has.

    ``arch``: the architecture on which it ran; empty: its own.
    """

    row: str
    column: str
    lab: str
    run: str
    problem: str = ""
    tasks: tuple[Task, ...] = ()
    arch: str = ""


@dataclass(frozen=True)
class MatrixResult:
    """All cells, row by row."""

    name: str
    description: str
    clock: str
    columns: tuple[str, ...]
    cells: tuple[Cell, ...] = field(default=())

    @property
    def complete(self) -> bool:
        return not any(cell.problem for cell in self.cells)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of all tasks, in the order of the cells."""
        return tuple(dict.fromkeys(task.name for cell in self.cells for task in cell.tasks))


def tasks_of(figures: Mapping[str, Any]) -> tuple[Task, ...]:
    """The periodic tasks in a run's figures, the most urgent first."""
    rows = sorted(figures["tasks"], key=lambda row: -row["priority"])
    return tuple(_task(row) for row in rows)


def _task(row: Mapping[str, Any]) -> Task:
    jitter, response = row["jitter"], row["response"]
    return Task(
        row["task"], row["jobs"], row["misses"],
        jitter["p50"], jitter["p99"], jitter["max"], response["max"],
    )  # fmt: skip


def rows(outcome: MatrixResult) -> tuple[list[str], list[list[str]]]:
    """The table: its header, then a row for each cell."""
    header = ["configuration", ""]
    for name in outcome.tasks:
        header += [f"{name}: starts late p50", "p99", "max", "missed"]
    return header, [[cell.row, cell.column, *_words(cell, outcome.tasks)] for cell in outcome.cells]


def brief(outcome: MatrixResult) -> tuple[list[str], list[list[str]]]:
    """A shorter table for a terminal: the 99th percentile of release jitter, missed deadlines."""
    header, body = rows(outcome)
    keep = [0, 1, *(n for n in range(2, len(header)) if n % 4 in (3, 1))]
    for name, n in zip(outcome.tasks, range(2, len(header), 4), strict=True):
        header[n + 1], header[n + 3] = f"{name} p99", "missed"
    return [header[n] for n in keep], [
        line[:3] if cell.problem else [line[n] for n in keep]
        for line, cell in zip(body, outcome.cells, strict=True)
    ]


def markdown(outcome: MatrixResult) -> str:
    """The table as Markdown, with the name, description and clock of the matrix."""
    header, body = rows(outcome)
    lines = [header, ["---"] * len(header), *body]
    table = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    return f"# {outcome.name}: {outcome.description}\n\nClock: {outcome.clock}.\n\n{table}"


def _words(cell: Cell, names: Sequence[str]) -> list[str]:
    if cell.problem:
        return [cell.problem, *[""] * (4 * len(names) - 1)]
    found = {task.name: task for task in cell.tasks}
    words = []
    for name in names:
        task = found.get(name)
        words += _figures(task) if task else ["", "", "", ""]
    return words


def _figures(task: Task) -> list[str]:
    late = [show(value) for value in (task.jitter_p50, task.jitter_p99, task.jitter_max)]
    return [*late, f"{task.misses} of {task.jobs}"]


def show(seconds: float) -> str:
    """A time in the unit that fits it."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.2f} ms" if seconds >= 0.99995e-3 else f"{seconds * 1e6:.1f} us"
