"""Checks of a lesson: they fit the lab, and what was passed stays passed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import config
from lab.errors import ConfigError
from lab.web import checking, lesson
from lab.web.classroom import Seat

LABS = """\
guests: {hello: {freertos: hello}}
labs:
  class: {guests: [hello], expect: [{on: hello, line: its own}], cpus: 2}
"""
LESSON = (
    "# L\n\n## Say hi\n\n```check\nsteps:\n  - {wait: hi, on: WHERE, within: 5s}\n```\n\n## Rest\n"
)


@pytest.fixture
def seat(tmp_path: Path) -> Seat:
    (tmp_path / "hello").mkdir()
    (tmp_path / "labs.yaml").write_text(LABS)
    return Seat(1, "class-1", tmp_path, "secret")


def lesson_of(seat: Seat, where: str = "hello") -> lesson.Lesson:
    path = seat.folder / "lesson.md"
    path.write_text(LESSON.replace("WHERE", where))
    return lesson.load(path)


def test_a_check_is_the_seat_s_lab_with_another_scenario(seat: Seat) -> None:
    step = lesson_of(seat).steps[0]
    lab = config.find_lab(config.load(checking.lay(seat, step)), checking.LAB)
    assert [one.text for one in lab.steps] == ["hi"]
    assert lab.expect == ()
    assert (lab.cpus, [guest.name for guest in lab.guests]) == (2, ["hello"])


def test_a_check_that_does_not_fit_is_found_before_the_class_begins(seat: Seat) -> None:
    checking.test(seat, lesson_of(seat))
    with pytest.raises(ConfigError) as error:
        checking.test(seat, lesson_of(seat, "helo"))
    assert error.value.message.startswith(f"{seat.folder}/lesson.md:5: the check of this step")
    assert "'helo'" in error.value.message
    assert "check.yaml" not in error.value.message


def test_progress_is_kept(seat: Seat) -> None:
    first, second = lesson_of(seat).steps
    assert checking.progress(seat) == {}
    checking.note(seat, first, passed=False)
    assert checking.progress(seat) == {"say-hi": "failed"}
    checking.note(seat, first, passed=True)
    checking.note(seat, first, passed=False)
    checking.note(seat, second, passed=True)
    assert checking.progress(seat) == {"say-hi": "passed", "rest": "passed"}


def test_damaged_progress_is_none(seat: Seat) -> None:
    (seat.folder / "progress.json").write_text("[")
    assert checking.progress(seat) == {}
