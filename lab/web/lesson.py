"""A lesson: a page of Markdown whose sections are steps, some of which check themselves.

The heading of the first level is the lesson's title. Each heading of the second level begins a
step. A code block with the word ``check`` is not shown: it has a scenario, as the entry of a lab in
labs.yaml has it. The step is passed if a run of the seat's lab passes this scenario.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from lab.errors import ConfigError, UsageError
from lab.util import reading
from lab.util.suggest import nearest
from lab.util.terminal import quote

#: The word of a code block that has a scenario.
CHECK = "check"
#: The lessons that ship.
FOLDER = Path(__file__).parent / "lessons"
#: The largest lesson, in bytes.
LARGEST = 1 << 20


@dataclass(frozen=True)
class Step:
    """A step of a lesson.

    Attributes:
        id: made of its title; progress is kept under it.
        html: what is shown. HTML of the file itself is shown as text.
        check: its scenario, as in labs.yaml; empty: nobody checks it.
        line: the line of the check in the file, from 1; else that of the heading.
    """

    id: str
    title: str
    html: str
    check: str = ""
    line: int = 1


@dataclass(frozen=True)
class Lesson:
    """A lesson; ``html``: what comes before its first step."""

    file: Path
    title: str
    html: str
    steps: tuple[Step, ...]

    def step(self, id_: object) -> Step | None:
        """The step with this id, if there is one."""
        return next((step for step in self.steps if step.id == id_), None)


def find(word: str) -> Path:
    """The file of a lesson: a path, or the name of one that ships.

    Raises:
        UsageError: there is none.
    """
    shipped = {path.stem: path for path in sorted(FOLDER.glob("*.md"))}
    if Path(word).exists():
        return Path(word)
    if word in shipped:
        return shipped[word]
    raise UsageError(
        f"there is no lesson {quote(word)}{nearest(word, shipped)}",
        hint=f"name a file, or one of: {', '.join(shipped)}",
    )


def load(file: Path) -> Lesson:
    """Read a lesson.

    Raises:
        ConfigError: it cannot be read, has no steps, or a check is not a mapping. The message
            begins with ``file:line``.
    """
    try:
        text = reading.text(file, LARGEST)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{file}: cannot be read as a lesson: {why}") from error
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    title = _text(tokens, "h1") or file.stem
    before, *sections = _sections(tokens)
    found = [_step(file, markdown, section) for section in sections]
    if not found:
        raise ConfigError(
            f"{file}:1: this lesson has no steps",
            hint="a heading of the second level (## Title) begins a step",
        )
    _no_twice(file, found)
    return Lesson(file, title, _html(markdown, _without_heading(before)), tuple(found))


def _sections(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """What comes before the first step, then each step, beginning with its heading."""
    section: list[Token] = []
    for token in tokens:
        if token.type == "heading_open" and token.tag == "h2":
            yield section
            section = []
        section.append(token)
    yield section


def _step(file: Path, markdown: MarkdownIt, tokens: Sequence[Token]) -> Step:
    title, line = _text(tokens, "h2"), _line(tokens[0])
    checks = [one for one in tokens if one.type == "fence" and one.info.split()[:1] == [CHECK]]
    if len(checks) > 1:
        raise ConfigError(f"{file}:{_line(checks[1])}: a step has at most one check")
    shown = [one for one in _without_heading(tokens) if one not in checks]
    for one in checks:
        line = _line(one)
        _check_shape(file, one)
    text = checks[0].content if checks else ""
    return Step(_id(title), title, _html(markdown, shown), text, line)


def _check_shape(file: Path, token: Token) -> None:
    try:
        found = yaml.load(token.content, yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        line = _line(token) + 1 + (error.problem_mark.line if error.problem_mark else 0)
        raise ConfigError(f"{file}:{line}: this check is not YAML: {error.problem}") from error
    if not isinstance(found, dict) or not found:
        raise ConfigError(
            f"{file}:{_line(token)}: a check must be a mapping",
            hint="with the keys 'steps', 'expect', 'never' or 'thresholds' of a lab",
        )


def _no_twice(file: Path, steps: Sequence[Step]) -> None:
    seen: set[str] = set()
    for step in steps:
        if step.id in seen:
            raise ConfigError(f"{file}:{step.line}: two steps have the title {quote(step.title)}")
        seen.add(step.id)


def _text(tokens: Sequence[Token], tag: str) -> str:
    """The text of the first heading of a level; empty if there is none."""
    for heading, inline in pairwise(tokens):
        if heading.type == "heading_open" and heading.tag == tag:
            return inline.content
    return ""


def _without_heading(tokens: Sequence[Token]) -> list[Token]:
    heading = tokens and tokens[0].type == "heading_open"
    return list(tokens[3:] if heading else tokens)


def _html(markdown: MarkdownIt, tokens: Sequence[Token]) -> str:
    return str(markdown.renderer.render(tokens, markdown.options, {}))


def _line(token: Token) -> int:
    return (token.map[0] if token.map else 0) + 1


def _id(title: str) -> str:
    return re.sub(r"[^\w]+", "-", title.lower()).strip("-") or "step"
