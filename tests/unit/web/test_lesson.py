"""Lessons: their steps, what is shown of them, and mistakes with their places."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab import config
from lab.errors import ConfigError, UsageError
from lab.web import checking, excerpt, lesson
from lab.web.classroom import Seat

TEXT = """\
# A lesson

Welcome, <script>alert(1)</script>!

## First step

Do *this*.

## Second step

```c
int main(void);
```

```check
steps:
  - {wait: hello, on: hello}
```

The end.
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "lesson.md"
    path.write_text(text)
    return path


def test_headings_make_steps(tmp_path: Path) -> None:
    found = lesson.load(written(tmp_path, TEXT))
    assert found.title == "A lesson"
    assert [(step.id, step.title) for step in found.steps] == [
        ("first-step", "First step"), ("second-step", "Second step"),
    ]  # fmt: skip
    assert "<em>this</em>" in found.steps[0].html
    assert found.step("second-step") is found.steps[1]
    assert found.step(["nosuch"]) is None


def test_a_check_is_not_shown(tmp_path: Path) -> None:
    first, second = lesson.load(written(tmp_path, TEXT)).steps
    assert (first.check, second.check) == ("", "steps:\n  - {wait: hello, on: hello}\n")
    assert "wait" not in second.html
    assert "int main" in second.html
    assert "The end." in second.html
    assert second.line == TEXT.splitlines().index("```check") + 1


def test_html_in_a_lesson_is_text(tmp_path: Path) -> None:
    found = lesson.load(written(tmp_path, TEXT + "\n<b onclick='x'>bold</b> [x](javascript:y)\n"))
    html = found.html + "".join(step.html for step in found.steps)
    assert "&lt;script&gt;" in html
    assert "<script" not in html
    assert "<b " not in html
    assert 'href="javascript' not in html


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# no steps\n", "lesson.md:1: this lesson has no steps"),
        ("## a\n\n```check\n- x\n```\n", "lesson.md:3: a check must be a mapping"),
        ("## a\n\n```check\n\n```\n", "lesson.md:3: a check must be a mapping"),
        ("## a\n\n```check\nsteps: [\n```\n", "lesson.md:5: this check is not YAML"),
        ("## a\n```check\na: b\n```\n```check\na: b\n```\n", "lesson.md:5: a step has at most one"),
        ("## a\n\n## A\n", "lesson.md:3: two steps have the title 'A'"),
        ("\udcff", "lesson.md: cannot be read"),
    ],
)
def test_mistakes_have_their_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "lesson.md"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError) as error:
        lesson.load(path)
    assert words in error.value.message


@pytest.mark.parametrize("name", ["first-guest", "crash"])
def test_the_lessons_that_ship_fit_their_lab(root: Path, tmp_path: Path, name: str) -> None:
    """Their checks are scenarios of the lab ``hello``; what they tell people to press is there."""
    found = lesson.load(lesson.find(name))
    lab = config.find_lab(config.load(root / "labs.yaml"), "hello")
    excerpt.lay(root / "labs.yaml", lab, tmp_path)
    checking.test(Seat(1, "hello-1", tmp_path, "secret"), found)
    page = (root / "lab/web/assets/seat.html").read_text() + "Check"
    text = found.file.read_text()
    pressed = set(re.findall(r"(?<=ress )\*\*([^*]+)\*\*", text))
    assert pressed
    assert [words for words in pressed if words not in page] == []


def test_a_lesson_by_name_or_by_file(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT)
    assert lesson.find(str(path)) == path
    assert lesson.load(lesson.find("first-guest")).steps
    with pytest.raises(UsageError, match="first-guest"):
        lesson.find("first-gest")
