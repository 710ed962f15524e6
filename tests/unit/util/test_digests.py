"""Digests that are remembered hold only as long as the file is the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.util import digests, files


class Reader:
    """Reads a file, and counts how often."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.times = 0

    def read(self) -> str:
        self.times += 1
        return self.path.read_text()

    def digest(self) -> str:
        with self.path.open() as stream:
            return digests.of("test", stream.fileno(), self.read)


def test_a_file_that_changed_a_moment_ago_is_read_each_time(tmp_path: Path) -> None:
    """It could change again without a new time."""
    reader = Reader(tmp_path / "file")
    reader.path.write_text("one")
    assert [reader.digest(), reader.digest()] == ["one", "one"]
    assert reader.times == 2


def test_an_old_file_is_read_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the change keeps its size, and somebody sets back the time of the change."""
    monkeypatch.setattr(digests, "SETTLED", 0)
    reader = Reader(tmp_path / "file")
    reader.path.write_text("one")
    assert [reader.digest(), reader.digest()] == ["one", "one"]
    assert reader.times == 1
    before = reader.path.stat()
    while reader.path.stat().st_ctime_ns == before.st_ctime_ns:  # the kernel's clock ticks slowly
        reader.path.write_text("two")
        os.utime(reader.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert reader.digest() == "two"


def test_kinds_of_digests_are_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one kind found is no answer for another."""
    monkeypatch.setattr(digests, "SETTLED", 0)
    file = tmp_path / "file"
    file.write_text("one")
    first = Reader(file).digest()
    assert files.sha256_file(file) != first


def test_only_so_many_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that lives long does not grow for ever."""
    monkeypatch.setattr(digests, "SETTLED", 0)
    monkeypatch.setattr(digests, "MOST", 3)
    monkeypatch.setattr(digests, "_known", {})
    for number in range(9):
        reader = Reader(tmp_path / str(number))
        reader.path.write_text(str(number))
        assert reader.digest() == str(number)
        assert len(digests._known) <= 3
