"""Tasks of the project itself: tests and measurements. They need a checkout."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path

from lab import api
from lab.cli.glue import command, print_json, say
from lab.errors import UsageError
from lab.progress import Progress
from lab.util.resources import resource
from lab.util.terminal import table


@command("test", unit="only the tests that need no QEMU", only="only tests that match this")
def run_tests(unit: bool = False, only: str = "") -> int:
    """Run the tests: unit tests, linters, and real labs."""
    try:
        tests = resource("tests")
    except FileNotFoundError:
        raise UsageError("the tests are in the project's checkout, not in the package") from None
    quick_first = [*sorted(tests.glob("test_*.py")), tests / "unit", tests / "system"]
    argv = [sys.executable, "-m", "pytest", *map(str, quick_first), "--rootdir", str(tests.parent)]
    argv += ["-m", "not system"] if unit else []
    argv += ["-k", only] if only else []
    os.chdir(tests.parent)
    os.execv(sys.executable, argv)


@command(
    "bench",
    labs="the file that describes the labs",
    json="print JSON for programs",
    door="toolchain: auto, docker, rootfs, host",
    rounds="how often each boot is repeated",
)
def run_bench(labs: str = "labs.yaml", door: str = "", rounds: int = 3, json: bool = False) -> int:
    """Measure boots, injection and sizes against the naive boot, in one session."""
    from lab.bench.measure import measure

    context = api.Context(Path(labs), door or None, Progress())
    figures = measure(context, rounds, say)
    if json:
        print_json({one.name: asdict(one) for one in figures})
    else:
        rows = [
            [one.name, f"{one.value:.2f} {one.unit}", one.target, _word(one.reached)]
            for one in figures
        ]
        print(table(rows, header=["Figure", "Value", "To reach", ""]))
    return int(any(one.reached is False for one in figures))


def _word(reached: bool | None) -> str:
    return {None: "", True: "reached", False: "MISSED"}[reached]
