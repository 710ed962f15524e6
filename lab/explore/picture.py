"""The results of a matrix as a picture: how late jobs start, and how many miss their deadline.

The same results give the same bytes if the version of matplotlib is the same.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.errors import UsageError
from lab.explore.matrix import Cell, MatrixResult, Task

#: The columns' colours, in turn, as the report has them for tasks. Everybody can tell them apart,
#: and none of them is red.
COLOURS = (
    "#332288", "#1ea0c9", "#167b30", "#a47e00", "#882255", "#2f9e8c", "#aa4499", "#57350b",
)  # fmt: skip
#: The colour of missed deadlines, and of cells without figures.
LATE, SOFT = "#cc3b33", "#5b6470"
#: The shortest bar, in seconds: the axis is logarithmic, so 0 has no place on it.
LEAST = 1e-6
#: What is said if matplotlib is missing, and what to do then.
MISSING = "a picture needs the Python package matplotlib, which is not installed"
HINT = "pip install 'xenlab[plots]'"


def possible() -> bool:
    """Whether the package that draws is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(outcome: MatrixResult, svg: Path, png: Path) -> None:
    """Write the picture, once as SVG and once as PNG.

    Raises:
        UsageError: matplotlib is not installed.
    """
    if not possible():
        raise UsageError(MISSING, hint=HINT)
    # Only here: its import takes a second.
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    mpl.rcParams["svg.hashsalt"] = "lab"
    mpl.rcParams["svg.fonttype"] = "none"
    tasks = outcome.tasks or ("(none)",)
    figure, axes = pyplot.subplots(
        2, len(tasks), figsize=(3.1 * len(tasks) + 2, 6.4), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for i, task in enumerate(tasks):
        _lateness(axes[0][i], outcome, task)
        _misses(axes[1][i], outcome, task)
    figure.suptitle(f"{outcome.description} ({outcome.clock} clock)")
    handles, labels = axes[1][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.savefig(svg, metadata={"Date": None})
    figure.savefig(png, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def _lateness(axes: Any, outcome: MatrixResult, name: str) -> None:
    """A bar up to the 99th percentile, then a line up to the worst."""
    for number, column in enumerate(outcome.columns):
        colour = COLOURS[number % len(COLOURS)]
        places, tasks = _of(outcome, column, number, name)
        p99 = [max(task.jitter_p99, LEAST) * 1e6 for task in tasks]
        worst = [max(task.jitter_max, LEAST) * 1e6 for task in tasks]
        axes.barh(places, p99, _height(outcome), color=colour, label=column)
        axes.hlines(places, p99, worst, color=colour, linewidth=1.2)
        axes.plot(worst, places, "|", color=colour, markersize=6)
        _absent(axes, outcome, column, number, name)
    axes.set_xscale("log")
    axes.set_xlim(left=0.7)
    axes.set_title(f"task {name}: starts late (p99, worst)", fontsize=9)
    axes.set_xlabel("µs", fontsize=8)
    _rows(axes, outcome)


def _misses(axes: Any, outcome: MatrixResult, name: str) -> None:
    for number, column in enumerate(outcome.columns):
        places, tasks = _of(outcome, column, number, name)
        shares = [100 * task.missed for task in tasks]
        colour = COLOURS[number % len(COLOURS)]
        axes.barh(places, shares, _height(outcome), color=colour, label=column)
        for place, task, share in zip(places, tasks, shares, strict=True):
            if task.misses:
                text = f" {task.misses}"
                spot = (min(share, 85), place)
                axes.annotate(text, spot, va="center", fontsize=7, color=LATE, weight="bold")
        _absent(axes, outcome, column, number, name)
    axes.set_xlim(0, 100)
    axes.set_title(f"task {name}: deadlines missed", fontsize=9)
    axes.set_xlabel("% of jobs", fontsize=8)
    _rows(axes, outcome)


def _absent(axes: Any, outcome: MatrixResult, column: str, number: int, name: str) -> None:
    """Mark cells without figures, or one would think that nothing was late in them."""
    there, _ = _of(outcome, column, number, name)
    for place in set(_places(outcome, column, number)) - set(there):
        axes.annotate(
            "no figures", (0.01, place), xycoords=("axes fraction", "data"), va="center",
            fontsize=7, color=SOFT,
        )  # fmt: skip


def _rows(axes: Any, outcome: MatrixResult) -> None:
    names = list(dict.fromkeys(cell.row for cell in outcome.cells))
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="x", labelsize=7)
    axes.grid(axis="x", color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)


def _of(
    outcome: MatrixResult, column: str, number: int, name: str
) -> tuple[list[float], Sequence[Task]]:
    """Where the bars of a column lie, and the task in each of its cells, if the cell has it."""
    found = zip(_places(outcome, column, number), _cells(outcome, column), strict=True)
    pairs = [(place, task) for place, cell in found for task in cell.tasks if task.name == name]
    return [place for place, _ in pairs], [task for _, task in pairs]


def _places(outcome: MatrixResult, column: str, number: int) -> list[float]:
    """Where the bars of a column lie, one bar for each cell."""
    names = list(dict.fromkeys(cell.row for cell in outcome.cells))
    shift = (number - (len(outcome.columns) - 1) / 2) * _height(outcome)
    return [names.index(cell.row) + shift for cell in _cells(outcome, column)]


def _cells(outcome: MatrixResult, column: str) -> list[Cell]:
    return [cell for cell in outcome.cells if cell.column == column]


def _height(outcome: MatrixResult) -> float:
    return 0.8 / len(outcome.columns)
