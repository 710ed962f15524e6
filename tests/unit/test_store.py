"""The store: every entry is complete, and built once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lab.errors import ImageError
from lab.store import Store, describe, entry_key
from lab.util import files


def write(text: str = "built") -> Build:
    return Build(text)


class Build:
    """Fills the folder of an entry, and counts how often it did."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.times = 0

    def __call__(self, folder: Path) -> None:
        self.times += 1
        (folder / "out").write_text(self.text)


def test_what_is_there_is_not_built_again(tmp_path: Path) -> None:
    """The same inputs are built once; other inputs give another entry."""
    store, build = Store(tmp_path), write()
    first = store.make("kind", {"a": 1}, build)
    again = store.make("kind", {"a": 1}, build)
    assert build.times == 1
    assert first.image("out") == again.image("out")
    assert store.make("kind", {"a": 2}, build).key != first.key
    assert store.make("other", {"a": 1}, build).key != first.key


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    """No exception leaves an entry or a temporary folder."""

    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path).make("kind", {}, fail)
    assert list((tmp_path / "store" / "kind").iterdir()) == []


@pytest.mark.parametrize("how", ["changed", "gone", "more", "manifest", "no manifest"])
def test_a_damaged_entry_is_built_again(tmp_path: Path, how: str) -> None:
    """Bytes that have changed are never used."""
    store, build = Store(tmp_path), write()
    entry = store.make("kind", {}, build)
    match how:
        case "changed":
            (entry.path / "out").write_text("other")
        case "gone":
            (entry.path / "out").unlink()
        case "more":
            (entry.path / "more").write_text("x")
        case "manifest":
            (entry.path.parent / "manifest.json").write_text("{")
        case "no manifest":
            (entry.path.parent / "manifest.json").unlink()
    assert store.make("kind", {}, build).image("out").path.read_text() == "built"
    assert build.times == 2


def test_damage_is_noticed_when_read(tmp_path: Path) -> None:
    """If an entry is damaged after it was found, the error says what to remove."""
    store = Store(tmp_path)
    store.make("kind", {}, write())
    entry = store.get("kind", {})
    assert entry is not None
    (entry.path / "out").write_text("other")
    with pytest.raises(ImageError, match="damaged") as caught:
        entry.image("out")
    assert str(entry.path.parent.parent) in caught.value.hint


def test_of_many_builders_one_builds(tmp_path: Path) -> None:
    """The others wait, and get what the first one built."""
    build = write()
    crowd = [
        threading.Thread(target=lambda: Store(tmp_path).make("kind", {}, build)) for _ in range(6)
    ]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(20)
    assert build.times == 1


def test_what_killed_builders_left_is_removed(tmp_path: Path) -> None:
    """Half-built folders of any key go at the next build of the kind, but not those whose
    builder is still at work."""
    store = Store(tmp_path)
    store.make("kind", {"a": 1}, write())
    same, dead, alive = entry_key("kind", {"a": 2}), "0" * 64, "1" * 64
    for key in (same, dead, alive):
        (tmp_path / "store" / "kind" / f".new-{key[:16]}-x" / "files").mkdir(parents=True)
    (tmp_path / "store" / "kind" / ".gone-0" / "files").mkdir(parents=True)
    with files.locked(tmp_path / "store" / "locks" / f"kind-{alive[:16]}"):
        store.make("kind", {"a": 2}, write())
    left = [path.name for path in (tmp_path / "store" / "kind").glob(".*-*")]
    assert left == [f".new-{alive[:16]}-x"]


def test_fetching_comes_before_building_only(tmp_path: Path) -> None:
    """What only a build needs is fetched only if something is built."""
    asked: list[str] = []
    store = Store(tmp_path, before_build=asked.append)
    store.make("kind", {}, write())
    store.make("kind", {}, write())
    assert asked == ["kind"]


def test_entries_are_described(tmp_path: Path) -> None:
    """Kind, key and size of all complete entries. Damaged manifests are skipped."""
    store = Store(tmp_path)
    store.make("kind", {"version": "1"}, write("12345"))
    broken = store.make("kind", {"version": "2"}, write())
    (broken.path.parent / "manifest.json").write_text("{")
    found = [describe(entry) for entry in store.entries()]
    assert [(one["kind"], one["size"], one["made_of"]) for one in found] == [("kind", 5, "1")]
    assert found[0]["key"] == entry_key("kind", {"version": "1"})


def test_a_bundle_may_bring_an_entry_while_it_is_built(tmp_path: Path) -> None:
    """Or remove a damaged one, for whose removal somebody waits."""
    place = tmp_path / "store" / "kind" / entry_key("kind", {})

    def build(folder: Path) -> None:
        write()(folder)
        other = Store(tmp_path / "other").make("kind", {}, write())
        other.path.parent.rename(place)

    entry = Store(tmp_path).make("kind", {}, build)
    assert entry.image("out").path.read_text() == "built"
    assert [path.name for path in place.parent.iterdir()] == [entry.key]
    Store(tmp_path).discard("kind", entry.key)
    Store(tmp_path).discard("kind", entry.key)
    assert list(place.parent.iterdir()) == []
    assert describe(entry)["size"] == 0
