"""What the pages mention exists: functions, options, other pages."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

import pytest
from pages import pages

from lab import __version__, api, errors, pytest_plugin
from lab.cli.namespace import namespace


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "python.md").read_text()


def test_every_function_named_is_there(page: str) -> None:
    named = set(re.findall(r"\bapi\.(\w+)", page))
    assert named - set(api.__all__) == set()
    assert {"lab", "start_lab", "limit", "run", "up"} <= named


def test_every_part_of_a_lab_is_told_and_there(page: str) -> None:
    """The page has all public names of a lab, and nothing else."""
    said = set(re.findall(r"`lab\.(\w+)", page)) - {"api", "errors"}
    offered = {name for name in dir(api.RunningLab) if not name.startswith("_")} - {"do"}
    instance = set(
        re.findall(r"self\.([a-z]\w*)[:\w\[\], ]* = ", inspect.getsource(api.RunningLab))
    )
    assert said == offered | instance


def test_every_part_of_a_console_is_told_and_there(page: str) -> None:
    table = page[page.index("| of a console") : page.index("An expectation searches")]
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
    given = set(inspect.signature(api.lab).parameters) - {"options"}
    assert names == (given | set(api.LabOptions.__annotations__)) - {"owner"}


def test_the_docs_name_every_option(root: Path) -> None:
    """docs/pytest.md has all options, and no others."""
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


def anchors(page: Path) -> set[str]:
    """The anchors (``#…``) of a page: its headings, in the form that GitHub gives them."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


def test_links_between_pages_lead_somewhere(root: Path) -> None:
    """To a file or folder of the checkout; with ``#…``, to a heading of that page."""
    wrong = []
    for page in pages(root):
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            there = (page.parent / name).resolve() if name else page
            if not there.exists() or (anchor and anchor not in anchors(there)):
                wrong.append(f"{page.relative_to(root)}: {target}")
    assert wrong == []


def test_every_page_is_on_the_map(root: Path) -> None:
    """docs/README.md leads to every page of docs/."""
    places = re.findall(r"\]\(([^)#\s]+)", (root / "docs" / "README.md").read_text())
    shown = {(root / "docs" / place).resolve() for place in places}
    missing = [page.name for page in (root / "docs").rglob("*.md") if page.resolve() not in shown]
    assert missing == ["README.md"]


def test_the_version_stands_once(root: Path, sources: list[Path]) -> None:
    """``lab.__version__`` is the only place; the change log has a heading for it."""
    written = re.compile(rf"\b{re.escape(__version__)}\b")
    named = [
        str(path.relative_to(root))
        for path in sources
        if path.suffix in (".py", ".toml", ".cfg", ".md", ".yaml")
        and written.search(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert [name for name in named if name != "CHANGELOG.md"] == ["lab/__init__.py"]
    project = tomllib.loads((root / "pyproject.toml").read_text())
    assert "version" in project["project"]["dynamic"]
    assert f"## [{__version__}]" in (root / "CHANGELOG.md").read_text()


def test_the_errors_of_troubleshooting_are_the_code_s(root: Path) -> None:
    """The errors that the page quotes in its first column are in the code, apart from what
    varies."""
    page = (root / "docs" / "troubleshooting.md").read_text()
    code = "\n".join(path.read_text() for path in (root / "lab").rglob("*.py"))
    code = re.sub(r'"\s*\n\s*f?"', "", code)  # a literal that goes on in the next line
    others = "".join((root / name).read_text() for name in ("inv", "images/freertos/Makefile"))
    said = re.sub(r"\{[^{}]*\}", "\0", code) + others
    rows = re.findall(r"^\| (?!you see|---)(.*?[^\\]) \|", page, re.MULTILINE)
    quoted = [words for row in rows for words in re.findall(r"`([^`]+)`", row)]
    assert [words for words in quoted if not is_said(words, said)] == []


#: Quoted there, but not words of an error of ours.
NO_ERRORS = {"Invalid kernel", r"\|", ">", "lab.status", "doctor", "XDG_RUNTIME_DIR",
             "No such file or directory: …", "Permission denied: …"}  # fmt: skip
#: Names, numbers and options in the errors that are shown.
VARIES = re.compile(
    r"…|labs\.lock (?=cannot)|dom0's agent: |'[^']*'|--[a-z]+(?: host)?|\b\d+\w?\b"
    r"|: (?=bubble|no tasks)"
    r"|\b(?:big|mine|hello|stock|rtds|Xen|dom0)\b"
)


def is_said(words: str, said: str) -> bool:
    """Whether ``said`` has an error, or a piece of eight letters or more between what varies."""
    pieces = [piece.strip(" :;,.'") for piece in VARIES.split(words)]
    whole = words in NO_ERRORS or words in said
    return whole or any(len(one) >= 8 and one in said for one in pieces)


def test_words_that_nobody_says_are_found() -> None:
    """A test of the test."""
    assert is_said("lab hello runs already", "lab {} runs already (run {})")
    assert not is_said("lab hello is up already", "lab {} runs already (run {})")


def commands(page: Path) -> set[tuple[str, ...]]:
    """Every command of the lab that a page shows: the task, then the options that it has there."""
    text = page.read_text()
    shown = (line.partition(" #")[0] for line in text.splitlines())
    spans = (span for line in shown for span in re.split(r"[`|;&(]", line))
    typed = r"(?:\./inv (?=[a-z])|xenlab (?=[a-z]+\.[a-z]))([\w.]+)(.*)"
    found = (re.search(typed, span) for span in spans)
    return {(one[1], *re.findall(r"(?<= )--[a-z0-9-]+", one[2])) for one in found if one}


def test_commands_in_the_pages_exist(root: Path) -> None:
    """The tasks and their options, as ``./inv --list`` and ``./inv --help TASK`` have them."""
    tasks = {
        name: {flag for context in [contexts] for flag in context.flags}
        for contexts in namespace().to_contexts()
        for name in (contexts.name, *contexts.aliases)
    }
    wrong = [
        f"{page.relative_to(root)}: {' '.join(command)}"
        for page in pages(root)
        for command in sorted(commands(page))
        if command[0] not in tasks or not set(command[1:]) - {"--help"} <= tasks[command[0]]
    ]
    assert wrong == []


#: Pages that are read otherwise: a map, a list.
NO_COMMAND_FIRST = {"README.md", "glossary.md"}


def test_pages_begin_with_a_command(root: Path) -> None:
    """Before its first section a page shows what to type."""
    late = []
    for page in (root / "docs").rglob("*.md"):
        opening = page.read_text().partition("\n## ")[0]
        if not re.search(r"^(\./inv|\.venv/bin/|pytest)\b.*$", opening, re.MULTILINE):
            late.append(page.name)
    assert set(late) - NO_COMMAND_FIRST == set()
