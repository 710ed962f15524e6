"""The rules of the project that tools can check."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.util import process

MAX_FILE = 320
MAX_FUNCTION = 60
#: Declarations only: a dictionary of words may be long.
SHELLS = {b"sh", b"bash", b"dash"}


def check(root: Path, *argv: str) -> None:
    """Run a tool. If it fails, its output is the failure."""
    done = process.run([sys.executable, "-m", *argv], cwd=root, timeout=280)
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == 0, said


def python_files(sources: list[Path]) -> list[Path]:
    return [path for path in sources if path.suffix == ".py"]


def test_ruff_finds_nothing(root: Path) -> None:
    check(root, "ruff", "check", ".")


def test_everything_is_formatted(root: Path) -> None:
    check(root, "ruff", "format", "--check", "--diff", ".")


@pytest.mark.timeout(300)
def test_types_are_right(root: Path) -> None:
    """mypy --strict (pyproject.toml says so) over everything."""
    check(root, "mypy")


def test_shell_scripts_parse(sources: list[Path]) -> None:
    for path in sources:
        shell = interpreter(path)
        if shell:
            done = process.run([shell, "-n", str(path)], timeout=30)
            assert done.returncode == 0, done.stderr.decode("utf-8", "replace")


def interpreter(path: Path) -> str | None:
    """The shell that a file names in its first line, or by its suffix."""
    with path.open("rb") as file:
        first = file.readline(200)
    words = first[2:].replace(b"/", b" ").split() if first.startswith(b"#!") else []
    found = next((word.decode() for word in words if word in SHELLS), None)
    return found or ("sh" if path.suffix == ".sh" else None)


def test_files_are_short(root: Path, sources: list[Path]) -> None:
    """A file that is too long should become two."""
    lengths = {
        str(path.relative_to(root)): path.read_bytes().count(b"\n")
        for path in python_files(sources)
    }
    assert {n: c for n, c in lengths.items() if c > MAX_FILE} == {}


def test_functions_are_short(root: Path, sources: list[Path]) -> None:
    long = [
        f"{path.relative_to(root)}:{node.lineno} {node.name}: {length} lines"
        for path in python_files(sources)
        for node, length in functions(path)
        if length > MAX_FUNCTION
    ]
    assert long == []


def functions(path: Path) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node, (node.end_lineno or node.lineno) - node.lineno + 1


def test_nothing_names_the_machine_it_was_written_on(root: Path, sources: list[Path]) -> None:
    """No file names somebody's home, or the place of this checkout."""
    home = re.compile(rb"/(?:home|Users|root)/[A-Za-z0-9_.-]+")
    here = str(root).encode() if len(root.parts) > 2 else None
    found = []
    for path in sources:
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            if home.search(line) or (here and here in line):
                found.append(f"{path.relative_to(root)}:{number}")
    assert found == []
