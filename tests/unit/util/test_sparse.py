"""Large files: their data without holes and blocks of zeros."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.util import reading, sparse
from lab.util.sparse import BLOCK, MOST, Piece


def read(path: Path) -> tuple[list[Piece], str]:
    identity = sparse.Identity()
    with reading.binary(path) as file:
        found = list(sparse.pieces(file))
        for piece in found:
            identity.add(piece)
        return found, identity.of(sparse.size(file))


def test_only_the_data_is_read(tmp_path: Path) -> None:
    """It is put together from neighbouring blocks, and ends with the file."""
    path = tmp_path / "image"
    with path.open("wb") as file:
        file.write(b"a" * 2 * BLOCK + bytes(BLOCK) + b"b")
        file.truncate(100 * BLOCK)
        file.seek(100 * BLOCK)
        file.write(b"end")
    found, _ = read(path)
    assert [(piece.at, len(piece.data)) for piece in found] == [
        (0, 2 * BLOCK), (3 * BLOCK, BLOCK), (100 * BLOCK, 3),
    ]  # fmt: skip
    assert found[1].data == b"b".ljust(BLOCK, b"\0")


def test_a_piece_has_an_end(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"a" * (MOST + 1))
    found, _ = read(tmp_path / "image")
    assert [(piece.at, len(piece.data)) for piece in found] == [(0, MOST), (MOST, 1)]


def test_a_hole_is_as_good_as_zeros(tmp_path: Path) -> None:
    """The identity of a file depends on its bytes alone: on their place, value and number."""
    files = {
        "written": b"a" + bytes(BLOCK * 3),
        "moved": bytes(BLOCK) + b"a" + bytes(BLOCK * 2),
        "longer": b"a" + bytes(BLOCK * 3 + 1),
        "other": b"b" + bytes(BLOCK * 3),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with (tmp_path / "hole").open("wb") as file:
        file.write(b"a")
        os.ftruncate(file.fileno(), BLOCK * 3 + 1)
    found = {path.name: read(path)[1] for path in tmp_path.iterdir()}
    assert found["hole"] == found["written"]
    assert len(set(found.values())) == 4


@pytest.mark.parametrize("size", [0, 1, BLOCK, 5 * BLOCK + 7])
def test_nothing_but_zeros(tmp_path: Path, size: int) -> None:
    (tmp_path / "image").write_bytes(bytes(size))
    assert read(tmp_path / "image")[0] == []
