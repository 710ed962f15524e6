"""Checks that imports between rooms run one way (docs/architecture.md).

The code has floors with names. A room imports from the floors below its own, never from a room
beside it: whoever is above gives both what they need. The ground is for all. Its rooms have an
order, and each may import only those after it.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from lab.bench import house
from lab.bench.house import graph, imports, modules

#: From the top down; docs/architecture.md has the same table.
FLOORS = {
    "doors": ("tasks", "lab.__main__", "lab.cli", "lab.pytest_plugin"),
    "measures": ("lab.bench",),
    "verbs": ("lab.api", "lab.web", "lab.cluster"),
    "runs": ("lab.run", "lab.explore"),
    "making": (
        "lab.workshop",
        "lab.config",
        "lab.plan",
        "lab.scenario",
        "lab.debug",
        "lab.doctor",
        "lab.bundle",
        "lab.install",
    ),
    "parts": ("lab.toolchain", "lab.images", "lab.machine", "lab.dom0", "lab.trace"),
    "materials": ("lab.packages", "lab.store", "lab.rundir"),
    "ground": ("lab.progress", "lab.util", "lab.errors", "lab.model", "lab.lazy"),
}  # fmt: skip
#: What starts the doors, and imports nothing else.
ENTRANCES = ("tasks", "lab.__main__")
#: What the doors may know: the verbs, the ground and what is for all on the way there.
FOR_DOORS = {
    "lab", "lab.api", "lab.bench", "lab.store", "lab.rundir", "lab.packages", "lab.install",
    *FLOORS["ground"],
}  # fmt: skip
#: Floors whose rooms are in order: each may import those after it.
ORDERED = {"doors", "ground", "materials", "verbs"}
#: The one door to processes, and what reads for it; then the places that print.
PROCESS_DOOR = {"lab.util.process", "lab.util.bounded"}
PRINTERS = {
    "tasks",
    "lab.cli",
    "lab.__main__",
    "lab.install",
    "lab.progress",
    "lab.machine.interactive",
}


def room(module: str) -> str:
    """``lab.config.units`` → ``lab.config``."""
    return ".".join(module.split(".")[:2])


@pytest.fixture(scope="module")
def trees(root: Path) -> dict[str, ast.Module]:
    return modules(root)


def floor(name: str) -> tuple[int, int]:
    """The floor of a room, counted from the top, and its place on a floor whose rooms are in
    order."""
    for number, (called, rooms) in enumerate(FLOORS.items()):
        if name in rooms:
            return number, rooms.index(name) if called in ORDERED else 0
    raise AssertionError(f"{name} has no floor yet: give it one in {Path(__file__).name}")


def test_every_room_has_a_floor(trees: dict[str, ast.Module]) -> None:
    for name in trees:
        if name != "lab":
            floor(room(name))


def test_arrows_run_downwards(trees: dict[str, ast.Module]) -> None:
    assert wrong_arrows(trees) == []


def wrong_arrows(trees: dict[str, ast.Module]) -> list[str]:
    """Check that a room imports from below, never from beside or above."""
    return [
        f"{name} imports {target}"
        for name, targets in graph(trees).items()
        for target in targets
        if "lab" not in (name, target)
        and room(name) != room(target)
        and not floor(room(name)) < floor(room(target))
    ]


def test_doors_know_only_the_verbs(trees: dict[str, ast.Module]) -> None:
    """Tasks and plug-ins import only the API and the rooms for all."""
    wrong = [
        f"{name} imports {target}"
        for name, targets in graph(trees).items()
        for target in targets
        if room(name) in FLOORS["doors"] and room(target) not in (FOR_DOORS | set(FLOORS["doors"]))
    ]
    assert wrong == []


def test_entrances_only_open_the_doors(trees: dict[str, ast.Module]) -> None:
    found = graph(trees)
    for name in ENTRANCES:
        assert {room(target) for target in found[name]} <= {"lab", *FLOORS["doors"]}, name


def test_the_architecture_has_the_same_floors(root: Path) -> None:
    """The table of docs/architecture.md has one row for each floor, with its rooms."""
    said = house.floors(root)
    assert said == {
        name: tuple(one.removeprefix("lab.") for one in rooms) for name, rooms in FLOORS.items()
    }


def test_there_is_no_cycle(trees: dict[str, ast.Module]) -> None:
    """There is none inside a room either."""
    assert house.cycle(graph(trees)) == []


def test_processes_have_one_door(trees: dict[str, ast.Module]) -> None:
    wrong = [
        name
        for name, tree in trees.items()
        if name not in PROCESS_DOOR
        and any(item.split(".")[0] in ("subprocess", "pty") for item in imports(tree))
    ]
    assert wrong == []


def test_only_the_top_prints_and_exits(trees: dict[str, ast.Module]) -> None:
    wrong = [
        f"{name}:{node.lineno}"
        for name, tree in trees.items()
        if not {name, room(name)} & PRINTERS
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.exit", "exit")
    ]
    assert wrong == []


def test_the_checker_sees_what_is_wrong() -> None:
    """A test of the test: it finds an arrow upwards, one sideways, and a cycle."""
    trees = {
        "lab.api": ast.parse(""),
        "lab.util.x": ast.parse("from lab import api"),
        "lab.dom0.a": ast.parse("def f():\n    import lab.machine.b"),
        "lab.machine.b": ast.parse("from lab.dom0.a import f"),
    }
    assert graph(trees)["lab.util.x"] == {"lab.api"}
    assert wrong_arrows(trees) == [
        "lab.util.x imports lab.api",
        "lab.dom0.a imports lab.machine.b",
        "lab.machine.b imports lab.dom0.a",
    ]
    with pytest.raises(AssertionError):
        test_there_is_no_cycle(trees)
    with pytest.raises(AssertionError, match="has no floor"):
        floor("lab.cellar")
