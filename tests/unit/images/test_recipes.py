"""The inputs of an image are hashed completely."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.images import initrd, recipes


def test_every_file_counts(tmp_path: Path) -> None:
    (tmp_path / "one/below").mkdir(parents=True)
    for name in ("one/a", "one/below/b", "c"):
        (tmp_path / name).write_text(name)
    found = recipes.hashes(tmp_path / "one", tmp_path / "c")
    assert set(found) == {"one/a", "one/below/b", "c"}
    assert len(set(found.values())) == 3


def test_a_file_that_is_not_there_is_no_recipe(tmp_path: Path) -> None:
    """A key that does not cover it would fit whatever it becomes."""
    with pytest.raises(FileNotFoundError):
        recipes.hashes(tmp_path / "gone")


def test_the_initramfs_depends_on_what_reads_its_packages() -> None:
    found = recipes.hashes(*initrd.recipe())
    assert {"initrd.py", "deb.py", "lz4.py", "newc.py"} <= set(found)
