"""The copy of sources whose objects stay: make sees what changed, and nothing else."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from lab.images.kept_tree import KeptTree
from lab.util import files

MAKEFILE = "all: a.o b.o\n%.o: %.c h.h\n\tcp $< $@\n\techo $@ >>log\n"


class Sources:
    """A tree that make builds, and a copy of it in which objects stay."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self.source.mkdir()
        for name, text in {"Makefile": MAKEFILE, "a.c": "a", "b.c": "b", "h.h": ""}.items():
            (self.source / name).write_text(text)
        self.kept = KeptTree(folder / "kept")

    def built(self) -> list[str]:
        """Build; returns which objects were made."""
        wanted = files.tree_hashes(self.source)
        if not self.kept.bring(self.source, wanted):
            files.remove_tree(self.kept.folder)
            self.kept.folder.mkdir()
            files.copy_tree(self.source, self.kept.tree)
        with self.kept.building(wanted):
            subprocess.run(["make", "-C", str(self.kept.tree)], check=True, capture_output=True)
        log = self.kept.tree / "log"
        made = log.read_text().split() if log.exists() else []
        log.unlink(missing_ok=True)
        return made


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    found = Sources(tmp_path)
    assert found.built() == ["a.o", "b.o"]
    return found


def test_only_what_changed_is_compiled(sources: Sources) -> None:
    assert sources.built() == []
    (sources.source / "a.c").write_text("other")
    assert sources.built() == ["a.o"]
    assert (sources.kept.tree / "a.o").read_text() == "other"
    (sources.source / "h.h").write_text("1")
    assert sources.built() == ["a.o", "b.o"]


def test_the_content_counts_not_the_time(sources: Sources) -> None:
    """As git leaves it: an older commit's file has any time."""
    os.utime(sources.source / "a.c")
    assert sources.built() == []
    (sources.source / "a.c").write_text("other")
    os.utime(sources.source / "a.c", (1, 1))
    assert sources.built() == ["a.o"]


def test_a_clock_that_was_put_back(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    (sources.source / "a.c").write_text("other")
    monkeypatch.setattr(time, "time_ns", lambda: 1)
    assert sources.built() == ["a.o"]


def test_removed_files_and_new_kinds(sources: Sources) -> None:
    (sources.source / "tool").write_text("#!/bin/sh\n")
    (sources.source / "tool").chmod(0o755)
    (sources.source / "b.c").unlink()
    (sources.source / "b.c").symlink_to("a.c")
    sources.built()
    assert os.access(sources.kept.tree / "tool", os.X_OK)
    assert (sources.kept.tree / "b.c").readlink() == Path("a.c")
    (sources.source / "tool").unlink()
    (sources.source / "tool").mkdir()
    (sources.source / "tool/one").write_text("1")
    sources.built()
    assert (sources.kept.tree / "tool/one").read_text() == "1"
    (sources.source / "tool/one").unlink()
    (sources.source / "tool").rmdir()
    (sources.source / "tool").write_text("again")
    sources.built()
    assert (sources.kept.tree / "tool").read_text() == "again"


def test_a_failed_build_leaves_nothing_to_reuse(sources: Sources) -> None:
    (sources.source / "Makefile").write_text("all:\n\tfalse\n")
    with pytest.raises(subprocess.CalledProcessError):
        sources.built()
    (sources.source / "Makefile").write_text(MAKEFILE)
    assert sources.built() == ["a.o", "b.o"]


def test_a_list_that_is_damaged_is_no_list(sources: Sources) -> None:
    (sources.kept.folder / "built.json").write_text("[1")
    assert sources.built() == ["a.o", "b.o"]
