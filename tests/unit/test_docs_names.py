"""What the pages name exists: files, modules, tasks, variables, keys of labs.yaml."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from pages import blocks, pages
from pydantic import BaseModel

from lab import config
from lab.cli.namespace import namespace
from lab.config import explore_shapes, sched_shapes, schema

#: Made while the wheel is built; a test in somebody's project.
ELSEWHERE = {"lab/resources", "tests/test_a.py"}
#: Where words such as ``lab.name`` are of the Python interface, which has tests of its own.
INTERFACE = {"python.md", "pytest.md"}


def test_files_named_in_the_pages_exist(root: Path) -> None:
    """Patterns such as ``lab/images/*`` match something."""
    path = re.compile(
        r"(?<![\w/.~:{}<>-])(?:lab|tests|images|examples|dockerfiles|docs)/[\w.*/-]*[\w*]"
    )
    wrong = [
        f"{page.relative_to(root)}: {name}"
        for page in pages(root)
        for name in sorted(set(path.findall(page.read_text())) - ELSEWHERE)
        if not any(root.glob(name))
    ]
    assert wrong == []


def test_files_named_without_their_folder_exist(root: Path, sources: list[Path]) -> None:
    """``quota.py`` in a table is a module somewhere."""
    there = {path.name for path in sources}
    wrong = [
        f"{page.relative_to(root)}: {name}"
        for page in pages(root)
        for name in re.findall(r"`([\w-]+\.py)`", page.read_text())
        if name not in there
    ]
    assert wrong == []


@pytest.fixture(scope="module")
def tasks() -> dict[str, set[str]]:
    """Every task with its options."""
    contexts = namespace().to_contexts()
    return {name: set(one.flags) for one in contexts for name in (str(one.name), *one.aliases)}


def test_tasks_and_modules_named_in_the_pages_exist(root: Path, tasks: dict[str, set[str]]) -> None:
    """``lab.up --cold`` is a task with that option, ``lab.util.process`` a module."""
    groups = "|".join(sorted({name.partition(".")[0] for name in tasks if "." in name}))
    word = re.compile(rf"`((?:{groups})(?:\.(?!(?:h|c|lds|md)`)\w+)+)((?: [^`]*)?)`")
    wrong = [
        f"{page.relative_to(root)}: {name}{words}"
        for page in pages(root)
        if page.name not in INTERFACE
        for name, words in word.findall(page.read_text())
        if not (set(options(words)) <= tasks[name] if name in tasks else is_module(root, name))
    ]
    assert wrong == []


def options(words: str) -> list[str]:
    return re.findall(r"(?<= )--[a-z]+", words)


def is_module(root: Path, name: str) -> bool:
    """Whether it names a module of the lab, something in a module, or a file (``labs.yaml``)."""
    if not name.startswith("lab."):
        return (root / name).exists()
    for end in (name, name.rpartition(".")[0]):
        try:
            module = importlib.import_module(end)
        except ImportError:
            continue
        return end == name or hasattr(module, name.rpartition(".")[2])
    return False


def test_variables_named_in_the_pages_are_read(root: Path) -> None:
    """The lab reads every ``LAB_…`` that a page names."""
    named = {
        word for page in pages(root) for word in re.findall(r"\bLAB_[A-Z_]+", page.read_text())
    }
    read = "".join(path.read_text() for path in (root / "lab").rglob("*.py"))
    read += "".join((root / name).read_text() for name in ("inv", "images/freertos/Makefile"))
    assert {name for name in named if name not in read} == set()


@pytest.mark.parametrize(
    ("chapter", "shapes"),
    [
        ("guests", [schema.Guest]),
        (
            "labs",
            [
                schema.Lab,
                schema.Dom0,
                explore_shapes.Explore,
                sched_shapes.LabScheduling,
                sched_shapes.Window,
            ],
        ),
        ("hypervisors", [schema.Hypervisor]),
        ("matrices", [schema.Matrix]),
    ],
)
def test_every_key_of_labs_yaml_is_told(
    root: Path, chapter: str, shapes: list[type[BaseModel]]
) -> None:
    """docs/labs-yaml.md has all keys, and no others."""
    page = (root / "docs" / "labs-yaml.md").read_text()
    text = page.partition(f"\n## {chapter}\n")[2].partition("\n## ")[0]
    fields = {(field.alias or name) for one in shapes for name, field in one.model_fields.items()}
    rows = re.findall(r"^\| (`[^|]*`) \|", text, re.MULTILINE)
    told = {word for row in rows for word in re.findall(r"`(\w+)`", row)}
    assert told <= fields
    assert {name for name in fields if f"`{name}`" not in text} == set()


def test_the_example_of_the_readme_is_a_lab(root: Path, tmp_path: Path) -> None:
    """Its labs.yaml loads; tests/system/test_readme.py runs it."""
    (tmp_path / "my-app").mkdir()
    (text,) = blocks(root / "README.md")
    (tmp_path / "labs.yaml").write_text(text)
    assert set(config.load(tmp_path / "labs.yaml").labs) == {"try"}
    (program,) = blocks(root / "README.md", "c")
    assert program in blocks(root / "docs" / "freertos.md", "c")
