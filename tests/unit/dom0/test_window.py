"""The window is a file in a folder to which QEMU can write too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.dom0.window import Window
from lab.errors import MachineError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The window of a lab. Beside it there is a file that is not the lab's."""
    (tmp_path / "mine").write_bytes(b"precious")
    (tmp_path / "window").write_bytes(bytes(8192))
    return tmp_path / "window"


def test_it_is_written_and_read(path: Path) -> None:
    """From its start, and no more than it holds."""
    window = Window(path)
    window.write(1, b"two")
    assert window.read(5) == b"\0two\0"
    assert len(window.read(1 << 40)) == window.size == 8192
    window.write(0, b"")
    window.reserve()


@pytest.mark.parametrize("what", ["link", "fifo", "folder", "nothing"])
def test_nothing_else_is_taken_for_it(path: Path, what: str) -> None:
    """A QEMU that a guest took over may put something else there: nothing hangs or leads
    outside."""
    path.unlink()
    match what:
        case "link":
            path.symlink_to("mine")
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
    window = Window(path)
    with pytest.raises(MachineError, match="cannot be written"):
        window.write(0, b"overwritten")
    with pytest.raises(MachineError, match="cannot be read"):
        window.read(8)
    with pytest.raises(MachineError, match="has no room"):
        window.reserve()
    assert path.with_name("mine").read_bytes() == b"precious"
