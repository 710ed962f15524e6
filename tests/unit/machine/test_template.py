"""Templates: what was stored comes back whole, or is refused by name."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from lab.machine import sparse_files, template, template_folder
from lab.machine.template import Damaged, Template
from lab.util import files

KEY = "0123456789abcdef" * 4
SIZE = 16 << 20


@pytest.fixture
def stored(tmp_path: Path) -> Template:
    """A template with a sparse memory, some state and two consoles."""
    source = tmp_path / "source"
    source.mkdir()
    rng = random.Random(5)
    with (source / "ram").open("wb") as ram:
        ram.truncate(SIZE)
        for at in (0, 3 << 20, (9 << 20) + 4096):
            os.pwrite(ram.fileno(), rng.randbytes(70_000), at)
    (source / "state").write_bytes(rng.randbytes(40_000))
    (source / "xen.log").write_bytes(b"(XEN) hello\n" * 50)
    (source / "dom0.log").write_bytes(b"Linux\n" * 50)
    parts = {
        "ram": source / "ram",
        "state": source / "state",
        "console/xen.log": source / "xen.log",
        "console/dom0.log": source / "dom0.log",
    }
    made = template.store(tmp_path / "templates", KEY, parts, 1, {"lab": "hello"})
    return replace(made, hold=None)


def check(stored: Template) -> None:
    """The check before every start from a template."""
    found = template.find(stored.path.parent, KEY)
    assert found is not None
    template.verify(found)


def parts(stored: Template) -> list[Path]:
    return sorted(path for path in stored.path.rglob("*") if path.is_file())


def test_only_this_user_reads_a_machines_memory(tmp_path: Path) -> None:
    """Also a copy of it, and where another file was before."""
    source, target = tmp_path / "ram", tmp_path / "copy"
    source.write_bytes(b"a password")
    target.touch(mode=0o644)
    for path in (tmp_path / "new", target):
        sparse_files.copy(source, path)
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_bytes() == b"a password"


def test_what_was_stored_comes_back(stored: Template) -> None:
    check(stored)
    assert template.find(stored.path.parent, "f" * 64) is None
    assert dict(stored.said("console"))["xen.log"].read_bytes().startswith(b"(XEN) hello")
    assert not dict(stored.said("trace"))
    assert stored.ram.stat().st_size == SIZE
    assert stored.ram.stat().st_blocks * 512 < SIZE // 2, "what is zero takes no room"


def test_a_thousand_flipped_bits(stored: Template) -> None:
    """No template starts with a flipped bit, wherever it is: in any part, in the memory's holes,
    or in the manifest."""
    rng = random.Random(1)
    for number in range(1200):
        path = parts(stored)[number % 5]
        at, bit = rng.randrange(path.stat().st_size), rng.randrange(8)
        with path.open("r+b", buffering=0) as file:
            old = os.pread(file.fileno(), 1, at)
            os.pwrite(file.fileno(), bytes([old[0] ^ 1 << bit]), at)
            with pytest.raises(Damaged) as refused:
                check(stored)
            assert path.name in refused.value.message
            os.pwrite(file.fileno(), old, at)
    check(stored)


def test_a_hundred_truncations(stored: Template) -> None:
    rng = random.Random(2)
    for number in range(120):
        path = parts(stored)[number % 5]
        whole = path.read_bytes()
        os.truncate(path, rng.randrange(len(whole)))
        with pytest.raises(Damaged, match=path.name):
            check(stored)
        path.write_bytes(whole)
    check(stored)


def ways(stored: Template) -> Iterator[tuple[str, Path]]:
    """Other damage: a part that is missing, foreign, a link, or too long."""
    for path in parts(stored):
        yield "missing", path
        yield "link", path
        yield "longer", path
    yield "foreign", stored.path / "more"


def test_missing_linked_longer_and_foreign_parts(stored: Template, tmp_path: Path) -> None:
    for way, path in ways(stored):
        whole = path.read_bytes() if path.exists() else b""
        if way == "missing":
            path.unlink()
        elif way == "link":
            path.unlink()
            path.symlink_to(tmp_path / "nowhere")
        else:
            path.write_bytes(whole + b"x")
        with pytest.raises(Damaged, match=path.name):
            check(stored)
        path.unlink(missing_ok=True)
        if whole:
            path.write_bytes(whole)
    check(stored)


def test_the_template_of_another_key_is_refused(stored: Template) -> None:
    stored.path.rename(stored.path.with_name("f" * 64))
    with pytest.raises(Damaged, match="belongs to another"):
        template.find(stored.path.parent, "f" * 64)


def test_those_that_were_not_used_for_longest_go(
    stored: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_folder, "KEPT", 2)
    root = stored.path.parent
    for number, key in enumerate(("a" * 64, "b" * 64)):
        os.utime(root / KEY, (number, number))
        (tmp_path / "state").write_bytes(b"state")
        template.store(root, key, {"state": tmp_path / "state"}, 1, {})
        os.utime(root / key, (number + 10, number + 10))
    assert {one.key[0] for one in template.everything(root)} == {"a", "b"}


def test_set_aside_and_cleaned(stored: Template) -> None:
    root = stored.path.parent
    assert template.set_aside_damaged(root, KEY) is None
    (stored.path / "state").write_bytes(b"altered")
    aside = template.set_aside_damaged(root, KEY)
    assert aside
    assert aside.is_dir()
    assert template.find(root, KEY) is None
    assert template.everything(root) == []
    assert template_folder.clean(root) > 0
    assert not root.exists()


def test_what_somebody_starts_from_is_not_removed(
    tmp_path: Path, stored: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by a command that removes all, nor to make room. Afterwards it is."""
    root = stored.path.parent
    held = template.held(stored)
    assert template_folder.clean(root) == 0
    template.verify(held)
    del held
    assert template_folder.clean(root) > 0
    with pytest.raises(Damaged, match="cannot be read"):
        template.held(stored)
    monkeypatch.setattr(template_folder, "KEPT", 1)
    made = []
    for name in "abc":
        (tmp_path / "state").write_bytes(b"state")
        made.append(template.store(root, name * 64, {"state": tmp_path / "state"}, 1, {}))
    assert len(template.everything(root)) == 3


def test_what_somebody_starts_from_is_not_replaced(tmp_path: Path, stored: Template) -> None:
    """Whoever makes it anew meanwhile goes on from a copy of its own, until it drops that."""
    root = stored.path.parent
    held = template.held(stored)
    for _ in range(2):
        (tmp_path / "state").write_bytes(b"another state")
        made = template.store(root, KEY, {"state": tmp_path / "state"}, 1, {})
        template_folder.clean(root)
        template.verify(made)
        template.verify(held)
        assert [one.path for one in template.everything(root)] == [held.path]
        template.drop(made)
        assert not made.path.exists()
    template.drop(held)
    template.verify(held)
    del held
    (tmp_path / "state").write_bytes(b"another state")
    made = template.store(root, KEY, {"state": tmp_path / "state"}, 1, {})
    template.drop(made)
    assert template.find(root, KEY) == made
    assert list(root.iterdir()) == [made.path]


def test_another_one_in_its_place_is_not_held(
    stored: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever made it anew replaced the bytes that were compared."""
    handle = os.open(stored.path, os.O_RDONLY)
    stored.path.rename(stored.path.with_name("gone"))
    stored.path.mkdir()
    monkeypatch.setattr(os, "open", lambda *_: handle)
    with pytest.raises(Damaged, match="made anew"):
        template.held(stored)


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_nobody_else_enters_the_folder_of_templates(tmp_path: Path, umask: int) -> None:
    """Also one that an older version made."""
    root = tmp_path / "templates"
    before = os.umask(umask)
    try:
        for _ in range(2):
            work, handle = template_folder.begin(root)
            os.close(handle)
            assert work.is_dir()
            assert root.stat().st_mode & 0o777 == 0o700
            root.chmod(0o755)
    finally:
        os.umask(before)


def test_what_is_being_made_is_not_cleaned(stored: Template) -> None:
    """Whoever makes it finds it where it was."""
    root = stored.path.parent
    work, handle = template_folder.begin(root)
    template_folder.clean(root)
    assert list(root.iterdir()) == [work]
    os.close(handle)
    template_folder.clean(root)
    assert not root.exists()


def test_what_killed_commands_left_is_removed(stored: Template, tmp_path: Path) -> None:
    """A half-made template is removed when the next one is stored; one that is being made stays."""
    root = stored.path.parent
    for name in (".new-dead", ".new-alive"):
        (root / name).mkdir()
    handle = files.try_lock(root / ".new-alive")
    assert handle is not None
    (tmp_path / "state").write_bytes(b"x")
    template.store(root, "f" * 64, {"state": tmp_path / "state"}, 1, {})
    os.close(handle)
    assert sorted(path.name for path in root.glob(".*")) == [".new-alive"]


def test_a_half_made_one_that_goes_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its command was interrupted, and removes it while others look. Nothing comes in its place:
    a file there would be in the way of every other template."""
    gone = tmp_path / "templates" / ".new-gone"
    monkeypatch.setattr(Path, "glob", lambda *_: iter([gone]))
    work, handle = template_folder.begin(tmp_path / "templates")
    os.close(handle)
    assert list(gone.parent.iterdir()) == [work]


def test_labs_that_store_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each makes room for its own, and may find that another has just removed the same one."""
    monkeypatch.setattr(template_folder, "KEPT", 1)
    root = tmp_path / "templates"

    def store(number: int) -> str:
        parts = {name: tmp_path / f"{name}-{number}" for name in ("ram", "state")}
        for path in parts.values():
            path.write_bytes(b"x" * 100)
        return template.store(root, f"{number % 5:x}" * 64, parts, 1, {}).key

    with ThreadPoolExecutor(8) as threads:
        assert len(list(threads.map(store, range(200)))) == 200
    store(200)  # nobody holds the others any more
    (kept,) = template.everything(root)
    template.verify(kept)
