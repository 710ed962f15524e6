"""Damages cached things: a flipped bit, a cut, a foreign byte, each time at another place."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lab.errors import ImageError
from lab.machine import sparse_files, template
from lab.machine.template import Damaged
from lab.packages import lock
from lab.store import Entry, Store
from system.cache_copies import STORE, copy_finished
from system.world import ROOT, World

T = TypeVar("T")

COLD_AND_WARM = {"LAB_COLD": "0"}


def spot(world: World, number: int) -> None:
    """Damage is reported by name; the thing is rebuilt or set aside, and never used."""
    folder = world.folder / "damage"
    rng = random.Random(number)
    (_template, _image, _manifest, _lock)[number % 4](world, folder, rng)


def _template(world: World, folder: Path, rng: random.Random) -> None:
    """Damage a stored lab. The error names the part."""
    root = folder / "templates"
    if not root.exists():
        world.run("lab.up", "hello", env=COLD_AND_WARM)
        world.run("lab.down", "hello")
        _copy_one(world.cache, folder)
    found = template.everything(root)[0]
    template.verify(found)
    part = rng.choice(sorted(filter(_has_bytes, found.path.rglob("*"))))
    name = str(part.relative_to(found.path))

    def use() -> None:
        again = template.find(root, found.key)
        assert again is not None
        template.verify(again)

    error = _refused(part, rng, use, Damaged)
    assert name in error.message, f"{name} was damaged, but it said: {error.message}"


def _has_bytes(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _copy_one(cache: Path, folder: Path) -> None:
    """Copy a template that no other test removes meanwhile."""
    for one in template.everything(cache / "templates"):
        copy_finished(cache, folder, f"templates/{one.key}", copy=_sparse)
        if (folder / "templates" / one.key).exists():
            return


def _sparse(source: str, target: str) -> None:
    sparse_files.copy(Path(source), Path(target))


def _entries(world: World, folder: Path) -> list[Entry]:
    if not (folder / "store").exists():
        copy_finished(world.cache, folder, STORE)
    return [one for one in Store(folder).entries() if one.outputs]


def _image(world: World, folder: Path, rng: random.Random) -> None:
    """Damage a built image. It is reported when read, and built again when it is needed."""
    entry = rng.choice(_entries(world, folder))
    name = rng.choice([one for one in sorted(entry.outputs) if _has_bytes(entry.path / one)])
    path = entry.path / name
    error = _refused(path, rng, lambda: entry.image(name), ImageError)
    assert f"{entry.kind}/{name}" in error.message
    _built_again(folder, entry, rng, path)


def _manifest(world: World, folder: Path, rng: random.Random) -> None:
    """Damage the record of what was built and from what. The entry is not used, or only with
    what it says."""
    entry = rng.choice(_entries(world, folder))
    _built_again(folder, entry, rng, entry.path.parent / "manifest.json")


def _built_again(folder: Path, entry: Entry, rng: random.Random, damaged: Path) -> None:
    whole = folder / "whole"
    shutil.copytree(entry.path.parent, whole, symlinks=True)
    try:
        _damage(damaged, rng)

        def build(into: Path) -> None:
            shutil.copytree(whole / "files", into, symlinks=True, dirs_exist_ok=True)

        made = Store(folder).make(entry.kind, entry.inputs, build)
        for name, wanted in entry.outputs.items():
            assert made.image(name).sha256 == wanted, f"{name} of a damaged entry was used"
    finally:
        shutil.rmtree(entry.path.parent)
        whole.rename(entry.path.parent)


def _lock(_: World, folder: Path, rng: random.Random) -> None:
    """Damage labs.lock. It is refused, or it says something else, which is then compared."""
    folder.mkdir(exist_ok=True)
    file = folder / lock.NAME
    shutil.copyfile(ROOT / lock.NAME, file)
    before = lock.load(file)
    _damage(file, rng)
    try:
        after = lock.load(file)
    except ImageError as refused:
        named = lock.NAME in str(refused)
    else:
        said = lock.changes(before, after) or after.digest != before.digest
        named = after == before or bool(said) or _aside(before, after)
    assert named


def _aside(before: lock.Lock, after: lock.Lock) -> bool:
    """Whether something changed that is no package: the snapshot time, or the digests of
    published runs."""
    return (before.snapshot, before.runs) != (after.snapshot, after.runs)


def _refused(path: Path, rng: random.Random, use: Callable[[], object], kind: type[T]) -> T:
    """The error that comes from using a damaged file. Afterwards the file is whole again."""
    data = path.read_bytes() if path.stat().st_size < 64 << 20 else None
    undo = _damage(path, rng)
    try:
        use()
    except kind as error:  # type: ignore[misc]
        return error  # type: ignore[no-any-return]
    finally:
        undo()
        assert data is None or path.read_bytes() == data
    raise AssertionError(f"{path} was damaged, and used")


def _damage(path: Path, rng: random.Random) -> Callable[[], None]:
    """Flip a bit, or cut off the end. Returns a function that undoes it."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        if rng.random() < 0.2 and size > 1:
            at = rng.randrange(max(0, size - 4096), size)
            file.seek(at)
            rest = file.read()
            file.truncate(at)
        else:
            at = rng.randrange(size)
            file.seek(at)
            rest = file.read(1)
            file.seek(at)
            file.write(bytes([rest[0] ^ 1 << rng.randrange(8)]))

    def undo() -> None:
        with path.open("r+b") as file:
            file.seek(at)
            file.write(rest)

    return undo
