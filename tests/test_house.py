"""Checks the sizes of the code that need no clock; ``./inv bench --only house`` prints them all."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.bench import house

#: What a short command has no use for, and takes long to load. Invoke itself loads asyncio, ssl,
#: argparse, dataclasses, email and its own copy of yaml.
HEAVY = (
    "_ctypes", "aiohttp", "asyncinotify", "concurrent.futures.process", "docker", "fdt", "hdrh",
    "http",
    "lab.config.resolve", "lab.config.schema", "lab.images", "lab.machine.qmp", "lab.scenario",
    "lab.trace", "lab.toolchain.docker.engine", "lab.workshop", "matplotlib", "multiprocessing",
    "numpy", "pydantic", "qemu", "regex", "requests", "rich", "tarfile", "tenacity",
    "urllib.request", "oras", "zstandard",
)  # fmt: skip
#: Which of them a command may load all the same: nothing, but for a session with a lab.
OF_A_SESSION = ("lab.images", "lab.trace")

LABS = """\
guests: {one: {linux: files}}
labs: {hello: {guests: [one]}}
"""


@pytest.fixture(scope="module")
def trees(root: Path) -> house.Trees:
    return house.modules(root)


def loaded(code: str, folder: Path) -> set[str]:
    """The modules that a fresh Python has loaded when ``code`` has ended, whatever its exit
    status. It has a session of its own: labs of others, which it would name, are not in it."""
    script = f"import atexit, sys\natexit.register(lambda: print(*sys.modules))\n{code}"
    argv = [sys.executable, "-c", script]
    env = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, check=False, timeout=60)
    return set(done.stdout.decode().rpartition("\n")[0].rpartition("\n")[2].split())


def heavy(found: set[str]) -> list[str]:
    names = [(name, f"{name}.") for name in HEAVY]
    return sorted(one for one in found for name, below in names if (one + ".").startswith(below))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A labs.yaml that was checked before. Otherwise a command has to load the checker."""
    place = tmp_path_factory.mktemp("labs")
    (place / "labs.yaml").write_text(LABS)
    (place / "files").mkdir()
    (place / "files" / "init").write_text("#!/bin/sh\n")
    found = loaded("from lab import api\nassert api.list_labs(api.Context())", place)
    assert "lab.config.resolve" in found
    return place


@pytest.mark.parametrize("argv", ["--version", "lab.list", "lab.status", "lab.status hello"])
def test_a_short_command_loads_what_it_uses(argv: str, folder: Path) -> None:
    code = f"sys.argv[1:] = {argv.split()}\nfrom lab.__main__ import main\nmain()"
    found = loaded(code, folder)
    assert "lab.cli.program" in found
    assert heavy(found) == []


def test_a_command_in_dom0_loads_what_it_uses(folder: Path) -> None:
    """It talks to the agent, and neither builds nor starts anything."""
    found = heavy(loaded("from lab.api import execute\nimport lab.run.session", folder))
    assert [one for one in found if not one.startswith(OF_A_SESSION)] == []


def test_no_name_of_a_lazy_room_is_a_module_of_it(root: Path) -> None:
    """Otherwise Python would take the module for the name, as soon as the module is loaded."""
    for room in ("api", "model", "toolchain"):
        names = {path.stem for path in (root / "lab" / room).iterdir()}
        homes = _literal(root / "lab" / room / "__init__.py", "_HOMES")
        offered = {name for some in homes.values() for name in some}
        assert offered & names == set(), room
        assert offered == set(_literal(root / "lab" / room / "__init__.py", "__all__")), room


def _literal(file: Path, name: str) -> dict[str, tuple[str, ...]]:
    """The value of a name in the source of a module."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)  # type: ignore[no-any-return]
    raise AssertionError(f"{file} has no {name}")


def test_what_is_counted() -> None:
    """A test of the test: tasks, ``self`` and ``*rest`` parameters do not count."""
    tree = ast.parse(
        "def five(a, b, c, /, d, *rest, e, **more): ...\n"
        "def six(a, b, c, d, *, e, f): ...\n"
        "@command('lab.up')\n"
        "def task(a, b, c, d, e, f): ...\n"
        "class One:\n"
        "    def five(self, a, b, c, d, e): ...\n"
        "    async def seven(self, a, b, c, d, e, f, g): ...\n"
    )
    assert house.crowded_functions({"x": tree}) == ["x:2 six: 6", "x:7 seven: 7"]
    assert house.cycle({"a": {"b"}, "b": {"a"}, "c": set()}) in (["a → b → a"], ["b → a → b"])


def test_the_house_stays_small(root: Path, trees: house.Trees) -> None:
    loose = house.loose_modules(root)
    assert len(loose) <= house.LOOSE, loose
    assert 1 < len(house.floors(root)) <= house.FLOORS
    assert house.cycle(house.graph(trees)) == []


def test_files_have_at_most_300_lines(root: Path) -> None:
    assert house.long_files(root) == []


def test_functions_have_at_most_five_parameters(trees: house.Trees) -> None:
    """More of them should be one thing with a name."""
    found = house.crowded_functions(trees)
    assert not found, "\n".join(found)
