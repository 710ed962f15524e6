"""Tasks for work on the project itself: tests and measurements."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import tempfile
from dataclasses import asdict
from json import loads
from pathlib import Path
from typing import Any

from lab import api
from lab.cli import optional
from lab.cli.command import command
from lab.cli.lab_task import ARCH, DOOR, JSON, LABS
from lab.cli.labs import context_of
from lab.cli.output import print_json, say
from lab.errors import UsageError
from lab.progress import Progress
from lab.util import process
from lab.util.resources import resource
from lab.util.terminal import table

#: The memory that a worker of the tests needs, in bytes: two labs, and the test itself. With more
#: workers than this, what remains is the longest group of tests.
WORKER, MOST_WORKERS = 3 << 30, 8
#: The parts of the bench that need an optional package, that package, and its group.
_NEEDED = (("cluster", "distributed", "cluster"), ("page", "aiohttp", "serve"))


@command(
    "test.all",
    example="test --unit",
    unit="only the tests that need no QEMU",
    quick="only unit tests, linters and a few labs: some minutes",
    only="only tests whose names match, as in pytest -k",
    jobs="run N tests at a time (default: the number of processors and one)",
)
def run_tests(unit: bool = False, quick: bool = False, only: str = "", jobs: int = 0) -> int:
    """Run all tests: unit tests, linters, real labs."""
    tests = _tests_to_run()
    argv = [sys.executable, "-m", "pytest", str(tests), "--rootdir", str(tests.parent)]
    argv += ["--durations=20", "--durations-min=5", *_side_by_side(jobs or _workers())]
    argv += ["-m", "not system"] if unit else ["-m", "not system or quick"] if quick else []
    argv += ["-k", only] if only else []
    os.chdir(tests.parent)
    os.execv(sys.executable, argv)


def _side_by_side(jobs: int) -> list[str]:
    """Options of pytest-xdist; tests/side_by_side.py sorts and groups the tests."""
    if jobs < 1:
        raise UsageError(f"--jobs {jobs}: at least one test must run at a time")
    if jobs == 1:
        return []
    return ["--numprocesses", str(jobs), "--dist=loadgroup", "--no-loadscope-reorder"]


def _workers() -> int:
    """One more than processors, because tests also wait; fewer if there is little memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(len(os.sched_getaffinity(0)) + 1, memory // WORKER, MOST_WORKERS))


@command(
    "test.faults",
    example="test.faults --only disk",
    full="inject each fault as often as the full table says; takes hours",
    only="only faults whose names match, as in pytest -k",
    json=JSON,
)
def run_faults(full: bool = False, only: str = "", json: bool = False) -> int:
    """Inject faults into real labs and count what failed."""
    table_ = _tests_to_run() / "system" / "test_fault_table.py"
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "LAB_FAULT_RESULTS": folder}
        env |= {"LAB_FAULTS": "full"} if full else {}
        argv = [sys.executable, "-m", "pytest", str(table_), "--rootdir", str(table_.parents[2])]
        argv += ["-k", only] if only else []
        argv += ["--tb=short", "--verbosity=1"]
        with contextlib.suppress(KeyboardInterrupt):  # what was counted until then is shown
            process.attend(argv, env=env, cwd=table_.parents[2])
        files = sorted(Path(folder).iterdir(), key=lambda path: path.stat().st_mtime)
        rows = [loads(path.read_text()) for path in files]
    print_json(rows) if json else print(_counts(rows))
    return int(not rows or any(row["held"] < row["wanted"] and not row["skipped"] for row in rows))


def _counts(rows: list[dict[str, Any]]) -> str:
    """The table: one row for each fault, with the words of its first failure."""
    cells = [
        [one["row"], one["wanted"], one["done"], one["held"], len(one["failed"]),
         f"{one['seconds']:.0f}", (one["failed"][0] if one["failed"] else one["skipped"])[:200]]
        for one in rows
    ]  # fmt: skip
    header = ["Fault", "Wanted", "Done", "Held", "Failed", "Seconds", "First failure"]
    return table([[str(cell).replace("\n", " ") for cell in row] for row in cells], header=header)


def _tests_to_run() -> Path:
    """The folder of the tests; what they need is installed."""
    try:
        folder = resource("tests")
    except FileNotFoundError:
        raise UsageError(
            "the tests are only in a checkout of the project, not in the installed package"
        ) from None
    from lab import install

    install.ensure("dev", Progress())
    if importlib.util.find_spec("pytest") is None:
        raise UsageError(
            f"{sys.executable} has no pytest",
            hint=f"run ./inv test, or install them: pip install --editable '{folder.parent}[dev]'",
        )
    return folder


@command(
    "bench",
    example="bench --rounds 5",
    labs=LABS,
    json=JSON,
    door=DOOR,
    rounds="measure everything N times (default: 3)",
    only="only these parts: boots, restored, guests, without-dom0, clocks, transfer, decoding, "
    "tracing, house, debug, many, bundle, and those of --full: crowd, digests, tools, matrix, "
    "races, cluster, page; with commas between them",
    arch=f"{ARCH}: measure labs of it, against its own baselines",
    full="also measure 64 labs at once, ten runs of each lab, and 4,400 seeds; takes an hour more",
)
def run_bench(
    labs: str = "labs.yaml", door: str = "", rounds: int = 3, only: str = "", full: bool = False,
    json: bool = False, arch: str = "",
) -> int:  # fmt: skip
    """Measure boots, restores, traces and sizes.

    Everything is measured in one session, so that figures can be compared with a baseline.
    """
    from lab.bench.measure import measure

    context = context_of(labs, door, arch=arch)
    names = [name for name in only.split(",") if name]
    for part, package, group in _NEEDED:
        if part in names or (full and not names):
            optional.have(package, group, context.progress)
    figures = measure(context, max(1, rounds), say, full=full, only=names)
    if json:
        print_json({one.name: asdict(one) for one in figures})
    else:
        rows = [
            [one.name, _amount(one.value, one.unit), one.target, _word(one.reached)]
            for one in figures
        ]
        print(table(rows, header=["Figure", "Value", "To reach", ""]))
    return int(any(one.reached is False for one in figures))


@command(
    "soak",
    example="soak --count 50",
    labs=LABS,
    door=DOOR,
    count="start N labs (default: 20)",
    hours="continue for this long, and for at least N labs",
    json=JSON,
)
def run_soak(
    labs: str = "labs.yaml", door: str = "", count: int = 20, hours: float = 0.0, json: bool = False
) -> int:
    """Start and stop labs many times; nothing may grow.

    It uses the labs in several ways and injects faults. Descriptors, memory, disk space and
    processes must not grow.
    """
    from lab.bench.soak import soak

    result = soak(api.Context(Path(labs), door or None), count, hours, say)
    if json:
        print_json(result.summary())
    else:
        rows = [[name, value] for name, value in asdict(result).items() if name not in ("failed",)]
        print(table(rows))
        for words in result.failed[:20]:
            print(words)
    return int(not result.flat)


def _amount(value: float, unit: str) -> str:
    """``2.50 s``; what has no unit is counted: ``3``."""
    return f"{value:.2f} {unit}" if unit else f"{value:g}"


def _word(reached: bool | None) -> str:
    return {None: "", True: "reached", False: "MISSED"}[reached]
