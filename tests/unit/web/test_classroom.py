"""A class: its links stay the same, and only one server has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import BusyError, LabError, UsageError
from lab.web import classroom


def test_every_link_has_a_secret_of_its_own(tmp_path: Path) -> None:
    with classroom.opened(tmp_path, "hello", 3) as found:
        assert [seat.name for seat in found.seats] == ["hello-1", "hello-2", "hello-3"]
        secrets = {found.teacher, *(seat.secret for seat in found.seats)}
        assert len(secrets) == 4
        assert min(map(len, secrets)) >= 20


def test_the_links_are_the_same_when_the_server_is_started_again(tmp_path: Path) -> None:
    with classroom.opened(tmp_path, "hello", 3) as found:
        before = found
    with classroom.opened(tmp_path, "hello", 0) as found:
        assert found == before


def test_a_class_may_grow_and_shrink(tmp_path: Path) -> None:
    """Seats that are left out for a while keep their links."""
    with classroom.opened(tmp_path, "hello", 3) as found:
        three = found.seats
    with classroom.opened(tmp_path, "hello", 1) as found:
        assert found.seats == three[:1]
    with classroom.opened(tmp_path, "hello", 4) as found:
        assert found.seats[:3] == three


def test_only_the_owner_can_read_the_links(tmp_path: Path) -> None:
    with classroom.opened(tmp_path, "hello", 1) as found:
        assert found.folder.stat().st_mode & 0o077 == 0
        assert (found.folder / "class.json").stat().st_mode & 0o077 == 0


def test_a_second_server_is_refused(tmp_path: Path) -> None:
    with (
        classroom.opened(tmp_path, "hello", 1),
        pytest.raises(BusyError, match="another server has the class hello"),
        classroom.opened(tmp_path, "hello", 1),
    ):
        pass
    with classroom.opened(tmp_path, "hello", 1):
        pass


@pytest.mark.parametrize("count", [-1, classroom.MOST + 1])
def test_a_count_that_makes_no_sense(tmp_path: Path, count: int) -> None:
    with pytest.raises(UsageError), classroom.opened(tmp_path, "hello", count):
        pass


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"seats": [1]}', '{"seats": ["a"'])
def test_a_damaged_class_names_its_file(tmp_path: Path, text: str) -> None:
    with classroom.opened(tmp_path, "hello", 1) as found:
        file = found.folder / "class.json"
    file.write_text(text)
    with (
        pytest.raises(LabError, match=r"class\.json") as error,
        classroom.opened(tmp_path, "hello", 1),
    ):
        pass
    assert "remove the file" in error.value.hint
