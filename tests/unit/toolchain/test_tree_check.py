"""A tree of the cache is used only while it is what was made."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.doctor import contents
from lab.doctor.checks import Grade
from lab.errors import ToolchainError
from lab.model import Command
from lab.toolchain import listing, tree, tree_cache, tree_check
from lab.toolchain.rootfs import RootfsToolchain
from lab.toolchain.tree_cache import CachedTree
from lab.util import debian
from toolchain.conftest import Fakes

Said = tuple[list[str], Callable[[str], None]]


@pytest.fixture
def made(tmp_path: Path, fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> CachedTree:
    """A tree with a program, and with headers that only builds read."""
    monkeypatch.setattr(debian, "archive_of_this_machine", lambda: None)
    monkeypatch.setattr(debian, "proxies_of_this_machine", lambda: ())
    fakes.archive("make_4.4_amd64.deb")
    found = tree.make(tmp_path, lambda _: None)
    (found.path / "usr/include").mkdir()
    (found.path / "usr/include/a.h").write_text("int a;")
    (found.path / "usr/bin/make").write_text("make")
    listing.make(found.path)
    return found


def change(file: Path, data: bytes, *, keep_time: bool = False) -> None:
    before = file.stat()
    file.write_bytes(data)
    if keep_time:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_new_tree_has_a_list(tmp_path: Path, fakes: Fakes, said: Said) -> None:
    """So nothing is read the first time that it is used."""
    fakes.archive("make_4.4_amd64.deb")
    new = tree.make(tmp_path, said[1])
    assert listing.looks_the_same(new.path, whole=True)


def test_an_old_tree_gets_a_list(made: CachedTree, said: Said) -> None:
    """It is what it is then."""
    (made.path.parent / listing.CONTENTS).unlink()
    assert listing.looks_the_same(made.path) is None
    assert tree_check.fits(made, said[1])
    assert listing.looks_the_same(made.path, whole=True)
    assert said[0] == []


def test_other_times_alone_cost_a_comparison(made: CachedTree, said: Said) -> None:
    """As in a cache that was copied. The next command need not compare again."""
    os.utime(made.path / "usr/bin/make")
    assert not listing.looks_the_same(made.path)
    assert tree_check.fits(made, said[1])
    assert listing.looks_the_same(made.path)
    assert said[0] == []


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda top: change(top / "usr/bin/make", b"mAke"), "usr/bin/make has changed"),
        (lambda top: (top / "usr/bin/make").unlink(), "usr/bin/make is missing"),
        (lambda top: (top / "usr/bin/ld").write_text(""), "usr/bin/ld was added"),
        (lambda top: (top / "usr/bin/make").chmod(0o600), "usr/bin/make has changed"),
        (lambda top: shutil.rmtree(top / "usr/include"), "usr/include/a.h is missing"),
        (lambda top: (top.parent / "contents.json").write_text("[]"), "the list of its files"),
    ],
    ids=["changed", "missing", "added", "mode", "folder", "list"],
)
def test_an_altered_tree_is_made_again(
    tmp_path: Path, made: CachedTree, said: Said, harm: Callable[[Path], object], words: str
) -> None:
    """The file is named, and the tree is not found any more."""
    harm(made.path)
    if words.startswith("the list"):
        listing.forget(made.path)
    assert tree_check.find(tmp_path, said[1]) is None
    assert words in said[0][0]
    assert tree_cache.find(tmp_path) is None
    assert tree_check.find(tmp_path, said[1]) is None
    again = tree.make(tmp_path, said[1])
    assert again.path == made.path
    assert tree_check.find(tmp_path, said[1]) == again


def test_headers_are_looked_at_before_a_build(made: CachedTree, said: Said, fakes: Fakes) -> None:
    """A machine starts without them, so a start does not look at thousands of them."""
    fakes.add("bwrap")
    change(made.path / "usr/include/a.h", b"int b;")
    assert tree_check.fits(made, said[1])
    with pytest.raises(ToolchainError, match=r"usr/include/a\.h has changed") as caught:
        RootfsToolchain(made).run(Command(["cc"]))
    assert "run the command again" in caught.value.hint
    assert tree_cache.read(made.path.parent) is None
    assert fakes.calls("bwrap") == []


def test_a_change_that_keeps_size_and_time(made: CachedTree, said: Said, tmp_path: Path) -> None:
    """Only ``doctor --verify`` sees it. After that the next command does not use the tree."""
    change(made.path / "usr/bin/make", b"mAke", keep_time=True)
    assert tree_check.fits(made, said[1])
    found = contents.verified(tmp_path)
    assert found.status is Grade.FAIL
    assert "usr/bin/make has changed" in found.what
    assert not tree_check.fits(made, said[1])
    assert contents.verified(tmp_path).status is Grade.OK


def test_many_differences_are_counted() -> None:
    assert tree_check.few(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more files differ"
    assert tree_check.few(["a", "b"]) == "a, b"
