"""Measures the code itself: the sizes of its parts, and the CPU time of short commands.

Sizes are read from the source, so they need a checkout. ``tests/test_house.py`` checks them as
well; only the bench measures time.
"""

from __future__ import annotations

import ast
import graphlib
import os
import re
import resource
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from lab.bench.figure import Figure, no_more
from lab.errors import LabError, UsageError
from lab.util import process, resources

#: The limits: lines of a file, parameters of a function, loose modules, floors, and CPU time as a
#: ratio to the baseline. docs/architecture.md explains floors and rooms.
LINES, PARAMETERS, LOOSE, FLOORS, CPU = 300, 5, 8, 8, 1.5
#: The commands whose time is measured; they need no running lab.
COMMANDS = ("lab.list", "lab.status")
#: The baseline: Python with the library that parses our command lines.
BARE = "import invoke.program"
#: How often each command is run in one round. Each run takes a fraction of a second.
RUNS = 5
#: Seconds that one run may take on a busy machine.
LONGEST = 60.0
Trees = Mapping[str, ast.Module]


def measure(rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """All figures. ``say`` is told each place that breaks a rule.

    Raises:
        UsageError: this is not a checkout.
        LabError: a command failed.
    """
    root = checkout()
    trees = modules(root)
    lists = {
        f"files over {LINES} lines": long_files(root),
        f"functions with over {PARAMETERS} parameters": crowded_functions(trees),
        "import cycles": cycle(graph(trees)),
    }
    for name, found in lists.items():
        for one in found:
            say(f"{name}: {one}")
    return [
        *(no_more(name, len(found), "", 0) for name, found in lists.items()),
        no_more("loose modules in lab/", len(loose_modules(root)), "", LOOSE),
        no_more("floors", len(floors(root)), "", FLOORS),
        *cpu(root, rounds, say),
    ]


def checkout() -> Path:
    """The folder of the checkout.

    Raises:
        UsageError: this is an installed package.
    """
    if not resources.in_checkout():
        raise UsageError("`house` can be measured only in the project's checkout")
    return resources.resource("inv").parent


# ---------------------------------------------------------------- sizes


def long_files(root: Path) -> list[str]:
    """The Python files with more than :data:`LINES` lines, each with the number of its lines."""
    lengths = {path: path.read_bytes().count(b"\n") for path in _files(root)}
    return [f"{path.relative_to(root)}: {n}" for path, n in lengths.items() if n > LINES]


def loose_modules(root: Path) -> list[str]:
    """The modules in ``lab/`` itself."""
    return sorted(path.name for path in (root / "lab").glob("*.py") if path.stem != "__init__")


def floors(root: Path) -> dict[str, tuple[str, ...]]:
    """The rooms of each floor, from the top down, as docs/architecture.md has them."""
    text = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \*([a-z]+)\* \| ([^|]*) \|", text, re.MULTILINE)
    return {name: tuple(re.findall(r"`([^`]+)`", rooms)) for name, rooms in rows}


def crowded_functions(trees: Trees) -> list[str]:
    """The functions with more than :data:`PARAMETERS` parameters, each with their number.

    ``self``, ``cls``, ``*rest`` and ``**rest`` do not count. Tasks may have more, because each of
    their parameters is an option of the command.
    """
    return [
        f"{name}:{node.lineno} {node.name}: {number}"
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not _is_task(node)
        if (number := _parameters(node)) > PARAMETERS
    ]


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    names = [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def _is_task(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(
        isinstance(one, ast.Call) and ast.unparse(one.func) == "command"
        for one in node.decorator_list
    )


def _files(root: Path) -> Iterator[Path]:
    for folder in ("lab", "tests", "examples"):
        yield from sorted((root / folder).rglob("*.py"))
    yield root / "tasks.py"


# ---------------------------------------------------------------- who imports whom


def modules(root: Path) -> dict[str, ast.Module]:
    """Every module of the project, parsed, by its dotted name."""
    files = [*sorted((root / "lab").rglob("*.py")), root / "tasks.py"]
    return {
        module_name(path.relative_to(root)): ast.parse(path.read_text(encoding="utf-8"))
        for path in files
        if path.exists()
    }


def module_name(path: Path) -> str:
    """``lab/config/__init__.py`` → ``lab.config``."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.Module) -> Iterator[str]:
    """The dotted names that a module imports anywhere, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def graph(trees: Trees) -> dict[str, set[str]]:
    """Each module → the modules of the project that it imports."""

    def resolve(name: str) -> str | None:
        while name and name not in trees:
            name = name.rpartition(".")[0]
        return name or None

    return {
        name: {found for item in imports(tree) if (found := resolve(item))} - {name}
        for name, tree in trees.items()
    }


def cycle(arrows: Mapping[str, set[str]]) -> list[str]:
    """One cycle of imports as text; empty if there is none."""
    try:
        graphlib.TopologicalSorter(arrows).prepare()
    except graphlib.CycleError as error:
        return [" → ".join(reversed(error.args[1]))]
    return []


# ---------------------------------------------------------------- time


def cpu(root: Path, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """The CPU time of each short command, as a ratio to Python with Invoke alone.

    Baseline and commands run in turn. Each command is compared with the baseline just before it.
    """
    bare = [sys.executable, "-c", BARE]
    ratios: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}: {', '.join(COMMANDS)}")
        for _ in range(RUNS):
            start = _seconds(bare)
            for name, found in ratios.items():
                found.append(_seconds([str(root / "inv"), name]) / start)
    return [
        no_more(f"{name}: CPU time, to bare Invoke", statistics.median(found), "x", CPU)
        for name, found in ratios.items()
    ]


def _seconds(argv: list[str]) -> float:
    """The CPU time of a program and its children, in seconds (getrusage(2))."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = process.run(argv, env=env, timeout=LONGEST)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise LabError(f"{argv[-1]} failed", tail=done.stderr.decode(errors="replace"))
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
