"""What the pages on Python and pytest say exists."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from lab import api, errors, pytest_plugin


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "python.md").read_text()


def test_every_function_named_is_there(page: str) -> None:
    named = set(re.findall(r"\bapi\.(\w+)", page))
    assert named - set(api.__all__) == set()
    assert {"lab", "start_lab", "limit", "run", "up"} <= named


def test_every_part_of_a_lab_is_told_and_there(page: str) -> None:
    """The page has all that a lab offers in public, and nothing else."""
    said = set(re.findall(r"`lab\.(\w+)", page)) - {"api", "errors"}
    offered = {name for name in dir(api.RunningLab) if not name.startswith("_")} - {"do"}
    instance = set(
        re.findall(r"self\.([a-z]\w*)[:\w\[\], ]* = ", inspect.getsource(api.RunningLab))
    )
    assert said == offered | instance


def test_every_part_of_a_console_is_told_and_there(page: str) -> None:
    table = page[page.index("| of a console") : page.index("An expectation is looked for")]
    said = {word for word in re.findall(r"`(\w+)[(`]", table) if word not in ("line", "match")}
    offered = {name for name in dir(api.Console) if not name.startswith("_")} - {"begin"}
    assert said - {"seconds"} == offered | {"log"}


def test_every_error_is_told_with_its_layer(page: str) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\w*) ?\|", page, re.MULTILINE))
    classes = {
        name: kind.layer.value if kind.layer else ""
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.LabError) and kind is not errors.LabError
    }
    assert rows == classes


def test_the_keywords_of_lab_are_told(page: str) -> None:
    told = re.search(r"`api\.lab\(([^)]*)\)`", page)
    assert told
    names = {word.partition("=")[0].strip() for word in told[1].split(",")}
    assert names == set(inspect.signature(api.lab).parameters) - {"owner"}


def test_the_docs_name_every_option(root: Path) -> None:
    """docs/pytest.md says what there is, and nothing that there is not."""
    page = (root / "docs" / "pytest.md").read_text()
    settings = {f"lab_{name}" for name in pytest_plugin.OPTIONS | pytest_plugin.SETTINGS}
    options = {f"--lab-{name.replace('_', '-')}" for name in pytest_plugin.OPTIONS}
    words = set(page.replace("`", " ").replace("=", " ").split())
    assert settings <= words
    assert options <= words
    assert {word for word in words if word.startswith("--lab-")} <= options
    assert {word for word in words if word.startswith("lab_")} <= settings


def test_the_docs_name_the_fixture_and_its_marker(root: Path) -> None:
    page = (root / "docs" / "pytest.md").read_text()
    marks = ("_fixture_function", "_pytestfixturefunction")  # of pytest 8.4, and before
    fixtures = [
        name
        for name, value in vars(pytest_plugin).items()
        if any(hasattr(value, mark) for mark in marks) and not name.startswith("_")
    ]
    assert fixtures == ["lab"]
    assert "`lab` is the only fixture" in page
    signature, _, _ = pytest_plugin.MARKER.partition(":")
    assert f"@pytest.mark.{signature.replace('name', 'NAME').replace(chr(39), chr(34))}" in page
    assert [scope for scope in pytest_plugin.SCOPES if f'"{scope}"' not in page] == []
