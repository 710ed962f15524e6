"""Files that are complete or absent."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from lab.util import files


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """The new bytes are there, the old ones are gone, and no temporary file stays."""
    path = tmp_path / "deep" / "file"
    files.write_atomic(path, "old")
    files.write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert [one.name for one in path.parent.iterdir()] == ["file"]


def test_the_mode_follows_the_umask(tmp_path: Path) -> None:
    """As for any new file, not mkstemp's."""
    before = os.umask(0o027)
    try:
        files.write_atomic(tmp_path / "file", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """If the new file cannot be put in place, nothing of it is left, and the error names the
    file."""
    path = tmp_path / "file"
    path.mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        files.write_atomic(path, "x")
    assert caught.value.filename
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_private_file_is_nobody_elses_and_leaves_one_file_at_most(tmp_path: Path) -> None:
    path = tmp_path / "file"
    (tmp_path / "file.new").write_text("of one that was killed")
    (tmp_path / "file.new").chmod(0o666)
    files.write_private(path, "old")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (tmp_path / "file.new").symlink_to(tmp_path / "another")
    files.write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_a_write_names_the_file() -> None:
    """write(2) does not say which file it was about; our error does."""
    with pytest.raises(OSError, match="No space left") as caught:
        files.append(Path("/dev/full"), "x")
    assert caught.value.filename == "/dev/full"


def test_a_tree_is_removed_whatever_its_modes(tmp_path: Path) -> None:
    """Folders that nobody may enter are removed too; a missing one is no error."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "file").write_text("x")
    inner.chmod(0)
    files.remove_tree(tmp_path / "a")
    files.remove_tree(tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_folder_is_removed_although_a_file_comes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may lock a socket in the folder of a lab that is stopped."""
    folder, real, late = tmp_path / "lab", shutil.rmtree, [1]

    def rmtree(path: Path) -> None:
        if late:
            late.pop()
            raise OSError(errno.ENOTEMPTY, "Directory not empty", str(path))
        real(path)

    folder.mkdir()
    monkeypatch.setattr(shutil, "rmtree", rmtree)
    files.remove_tree(folder)
    assert not folder.exists()


def test_tree_hashes_see_every_change(tmp_path: Path) -> None:
    """Content, names and links count; what is skipped does not."""
    (tmp_path / "f").write_text("x")
    (tmp_path / "l").symlink_to("f")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x").write_text("x")
    first = files.tree_hashes(tmp_path)
    assert set(first) == {"f", "l"}
    (tmp_path / "l").unlink()
    (tmp_path / "l").symlink_to("g")
    assert files.tree_hashes(tmp_path) != first


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    """The second one is told that it waits, and gets the lock when the first is done."""
    waits = threading.Event()
    got = threading.Event()

    def second() -> None:
        with files.locked(tmp_path / "lock", waits.set):
            got.set()

    with files.locked(tmp_path / "lock"):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(5)
        assert not got.is_set()
    thread.join(5)
    assert got.is_set()


def test_keys_do_not_depend_on_order() -> None:
    """The same mapping in another order has the same key; another one has another."""
    assert files.sha256_json({"a": 1, "b": [2]}) == files.sha256_json({"b": [2], "a": 1})
    assert files.sha256_json({"a": 1}) != files.sha256_json({"a": "1"})
