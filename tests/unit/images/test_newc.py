"""The writer of initramfs archives."""

from __future__ import annotations

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.images import newc

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12)
PLAIN = NAMES.filter(lambda name: name not in (".", "..", newc.TRAILER))


def entries(archive: bytes) -> dict[str, tuple[int, bytes, tuple[int, int]]]:
    """What an unpacker finds: path → mode, data, device numbers."""
    found: dict[str, tuple[int, bytes, tuple[int, int]]] = {}
    at = 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, length = fields[1], fields[6], fields[11]
        name = archive[at + 110 : at + 110 + length - 1].decode()
        start = (at + 110 + length + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, archive[start : start + size], (fields[9], fields[10]))
        at = (start + size + 3) // 4 * 4


def test_files_links_devices_and_folders_are_found_again() -> None:
    """Every kind of entry is read back with its mode, content and numbers."""
    found = entries(
        newc.archive([
            newc.file("bin/tool", b"12345", 0o755),
            newc.link("bin/alias", "tool"),
            newc.character_device("dev/console", 5, 1),
            newc.folder("proc"),
        ])
    )  # fmt: skip
    assert found["bin/tool"] == (stat.S_IFREG | 0o755, b"12345", (0, 0))
    assert found["bin/alias"] == (stat.S_IFLNK | 0o777, b"tool", (0, 0))
    assert found["dev/console"] == (stat.S_IFCHR | 0o600, b"", (5, 1))
    assert stat.S_ISDIR(found["proc"][0])


def test_parents_come_before_what_lies_in_them() -> None:
    """The kernel does not make missing folders: each must come first, once."""
    names = list(entries(newc.archive([newc.file("a/b/c", b""), newc.file("a/d", b"")])))
    assert names == ["a", "a/b", "a/b/c", "a/d"]


@given(st.dictionaries(PLAIN, st.binary(max_size=40), max_size=8), st.randoms())
def test_the_order_of_items_does_not_matter(contents: dict[str, bytes], random: object) -> None:
    """The same entries give the same bytes, in whole blocks."""
    items = [newc.file(name, data) for name, data in contents.items()]
    once = newc.archive(items)
    random.shuffle(items)  # type: ignore[attr-defined]
    assert newc.archive(items) == once
    assert len(once) % newc.BLOCK == 0
    assert {name: value[1] for name, value in entries(once).items()} == contents


@pytest.mark.parametrize("path", ["/abs", "a/../b", "./a", "a//b", "a/", "", newc.TRAILER])
def test_paths_that_lead_elsewhere_are_refused(path: str) -> None:
    """A path must be plain and relative."""
    with pytest.raises(ValueError, match="plain path"):
        newc.archive([newc.file(path, b"")])


def test_two_items_at_one_path_are_refused() -> None:
    """Otherwise chance would decide which one wins."""
    with pytest.raises(ValueError, match="twice"):
        newc.archive([newc.file("a", b"1"), newc.file("a", b"2")])
