"""The image of the docker door is the tree of the rootfs door, and its tar depends on the tree
alone."""

from __future__ import annotations

import io
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from lab.errors import ToolchainError
from lab.packages.lock import Pin
from lab.toolchain import opening, provide, rootfs, tree_cache, tree_check
from lab.toolchain.docker import toolchain_image, tree_import
from lab.toolchain.request import ToolchainRequest
from lab.toolchain.tree_cache import CachedTree

PACKAGES = {"make": {"version": "1:4.4-2", "arch": "amd64", "sha256": "a" * 64, "size": 6}}


def tree(folder: Path) -> CachedTree:
    """A tree with files of every kind, among them some that programs cannot see."""
    for name in ("usr/bin", "etc/empty", "root", "var/lib/dpkg"):
        (folder / name).mkdir(parents=True)
    (folder / "usr/bin/b").write_bytes(b"program")
    (folder / "usr/bin/b").chmod(0o755)
    (folder / "usr/bin/a").hardlink_to(folder / "usr/bin/b")
    (folder / "usr/bin/link").symlink_to("../nowhere")
    (folder / "var/lib/dpkg/status").write_text("state")
    return CachedTree(folder, "key", "origin", 1, PACKAGES)


def read(made: CachedTree) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(b"".join(tree_import.tar(made))))


def test_an_image_shows_what_the_rootfs_door_shows(tmp_path: Path) -> None:
    """The same files with their modes and links, empty mount points, and nothing else."""
    with read(tree(tmp_path)) as archive:
        found = {one.name: one for one in archive}
        listing = archive.extractfile(tree_import.INSTALLED)
        assert listing
        assert toolchain_image._pins(listing.read().decode()) == PACKAGES
    assert not {"root", "var/lib/dpkg", "var/lib/dpkg/status"} & found.keys()
    assert (found["usr/bin/a"].mode, found["usr/bin/a"].size) == (0o755, 7)
    assert (found["usr/bin/b"].islnk(), found["usr/bin/b"].linkname) == (True, "usr/bin/a")
    assert found["usr/bin/link"].linkname == "../nowhere"
    assert (found["lib64"].issym(), found["lib64"].linkname) == (True, "usr/lib64")
    assert found["etc/empty"].isdir()
    assert found["tmp"].mode == 0o1777
    assert {(one.uid, one.gid, one.mtime, one.uname) for one in found.values()} == {(0, 0, 0, "")}


def test_the_tar_depends_on_the_tree_alone(tmp_path: Path) -> None:
    """Not on its place, nor on the time when it was made."""
    first, second = tree(tmp_path / "a"), tree(tmp_path / "b")
    os.utime(second.path / "usr/bin/b", (1, 1))
    assert b"".join(tree_import.tar(first)) == b"".join(tree_import.tar(second))


def test_a_tree_that_is_there_needs_nothing_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a tree, and without the programs that make one, a registry is asked, and a message
    says so."""

    def missing(*_: object) -> None:
        raise ToolchainError("missing on this machine: mmdebstrap")

    monkeypatch.setattr(provide, "ensure", missing)
    said: list[str] = []
    wanted = ToolchainRequest((Pin("make", "1:4.4-2", "amd64", "a" * 64, 6, "make.deb"),))
    ask = (tmp_path, said.append, wanted, lambda _: None)
    assert toolchain_image._tree(*ask) is None
    assert "asking a registry" in said[0]
    whole = tree(tmp_path / "x")
    monkeypatch.setattr(tree_cache, "find", lambda *_, **__: whole)
    monkeypatch.setattr(tree_check, "fits", lambda *_, **__: True)
    assert toolchain_image._tree(*ask) is whole
    assert len(said) == 1


def test_a_part_of_a_tree_is_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of a bundle come only the files that run a lab. ``auto`` uses them through rootfs."""
    part = replace(tree(tmp_path / "x"), partial=True)
    monkeypatch.setattr(tree_cache, "find", lambda *_, **__: part)
    monkeypatch.setattr(tree_check, "fits", lambda *_, **__: True)
    with pytest.raises(ToolchainError, match="came out of a bundle") as caught:
        toolchain_image._tree(tmp_path, print, ToolchainRequest(), lambda _: None)
    assert "--door rootfs" in caught.value.hint
    monkeypatch.delenv("LAB_DOOR", raising=False)
    opened: list[object] = []
    monkeypatch.setattr(rootfs, "open_rootfs", lambda *_: opened.append(part))
    opening.open_toolchain(cache=tmp_path)
    assert opened == [part]
