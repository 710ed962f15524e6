"""Files of any kind, size and content: they are read within bounds, or refused with a message,
at once."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.util import files, reading


def fifo(path: Path) -> None:
    os.mkfifo(path)


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as own:
        here = Path.cwd()
        os.chdir(path.parent)  # its path may be too long for a socket
        try:
            own.bind(path.name)
        finally:
            os.chdir(here)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


#: What may lie where a file is wanted → the words for it.
STRANGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "FIFO": (fifo, "a FIFO, not a file"),
    "socket": (bound, "a socket, not a file"),
    "zero": (lambda path: path.symlink_to("/dev/zero"), "a device, not a file"),
    "tty": (lambda path: path.symlink_to("/dev/tty"), "a device, not a file"),
    "folder": (Path.mkdir, "a folder, not a file"),
    "loop": (loop, "Too many levels of symbolic links"),
    "huge": (sparse, "larger than 4 MiB"),
    "nothing": (lambda path: path.symlink_to("nowhere"), "No such file or directory"),
}


@pytest.fixture(params=STRANGE)
def strange(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    make, words = STRANGE[request.param]
    make(tmp_path / "file")
    return tmp_path / "file", words


def test_what_is_no_plain_file_is_refused(strange: tuple[Path, str]) -> None:
    path, words = strange
    with pytest.raises(OSError, match=words) as caught:
        reading.data(path)
    assert caught.value.strerror
    assert caught.value.filename == str(path)


def test_a_fifo_that_somebody_writes_to_is_none_either(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    handle = os.open(tmp_path / "fifo", os.O_RDWR)
    try:
        os.write(handle, b"{}")
        with pytest.raises(reading.Unfit):
            reading.json_file(tmp_path / "fifo")
    finally:
        os.close(handle)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    sparse(tmp_path / "huge")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(reading.Unfit):
            reading.data(tmp_path / "huge")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_file_that_grows_has_an_end(tmp_path: Path) -> None:
    """It is read up to the size that it had when it was opened. If it grows meanwhile, that is
    an error; nothing waits."""
    path = tmp_path / "log"
    path.write_bytes(b"x")
    with reading.binary(path) as stream:
        pieces = reading.pieces(path, stream)
        files.append(path, "y")
        with pytest.raises(reading.Unfit, match="grows while it is read"):
            list(pieces)


def test_within_its_size_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("é")
    assert reading.data(tmp_path / "file", 2) == b"\xc3\xa9"
    assert reading.text(tmp_path / "file") == "é"
    with pytest.raises(reading.Unfit):
        reading.data(tmp_path / "file", 1)


#: JSON that is none, or would take for ever or all memory.
WRONG = {
    "deep lists": "[" * 100_000,
    "deep closed": "[" * 100_000 + "]" * 100_000,
    "deep objects": '{"a":' * 100_000,
    "NaN": '{"a": NaN}',
    "infinity": "-Infinity",
    "too large": "1e999",
    "very many digits": "9" * 100_000,
    "twice": '{"a": 1, "a": 2}',
    "twice, inside": '[{"b": {"a": 1, "a": 2}}]',
    "NUL": '{"a": 1}\0',
    "a NUL in a text": '"a\0b"',
    "not UTF-8": b'"\xff\xfe"',
    "empty": "",
    "two values": "1 2",
    "cut off": '{"a": [1,',
    "many names": "{" + '"a":1,' * 200_000 + '"a":1}',
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_json_ends_in_words(text: str | bytes) -> None:
    before = time.process_time()
    with pytest.raises(ValueError, match=r".") as caught:
        reading.parse_json(text)
    assert len(str(caught.value)) < 500
    assert time.process_time() - before < 5


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False,
       allow_infinity=False) | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
       st.text(), inner)))  # fmt: skip
def test_what_is_json_comes_back(value: object) -> None:
    assert reading.parse_json(json.dumps(value)) == value


# ---------------------------------------------------------------- trees


def test_a_tree_with_a_fifo_is_refused(tmp_path: Path) -> None:
    """The compiler would wait for it for ever; the error names it."""
    (tmp_path / "src").mkdir()
    os.mkfifo(tmp_path / "src" / "main.c")
    for take in (files.tree_hashes, lambda path: files.copy_tree(path, tmp_path.parent / "copy")):
        with pytest.raises(reading.Unfit, match="a FIFO, not a file") as caught:
            take(tmp_path)
        assert caught.value.filename == str(tmp_path / "src" / "main.c")


def test_sockets_of_editors_are_left_out(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    bound(tree / "daemon.ipc")
    (tree / "main.c").write_text("x")
    (tree / "all").symlink_to("/")
    (tree / "loop").symlink_to("loop")
    assert files.tree_hashes(tree) == {
        "main.c": files.sha256_file(tree / "main.c"), "all": "-> /", "loop": "-> loop",
    }  # fmt: skip
    files.copy_tree(tree, tmp_path / "copy")
    assert files.tree_hashes(tmp_path / "copy") == files.tree_hashes(tree)
    assert not (tmp_path / "copy" / "daemon.ipc").exists()


def test_a_tree_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot hold sources is refused before it is read: ``/``, a million files."""
    for number in range(5):
        (tmp_path / str(number)).touch()
    monkeypatch.setattr(files, "MOST_FILES", 4)
    with pytest.raises(reading.Unfit, match="too many files in it"):
        files.tree_hashes(tmp_path)
    monkeypatch.setattr(files, "MOST_FILES", 5)
    assert len(files.tree_hashes(tmp_path)) == 5
    sparse(tmp_path / "0")
    with pytest.raises(reading.Unfit, match="too many bytes in it"):
        files.tree_hashes(tmp_path)


def test_what_is_written_is_no_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(reading.Unfit, match="a FIFO"):
        files.writable(tmp_path / "fifo")
    for fine in (tmp_path / "new", Path("/dev/null"), Path("/dev/stdout")):
        files.writable(fine)
