"""Templates: booted labs, stored so that they need not be booted again.

A template is a folder ``templates/<key>/``: the machine's memory (``ram``, sparse), its device
state (``state``), the output of its consoles and traces so far (``console/…``, ``trace/…``), and
``manifest.json`` with a sha256 of each part. The manifest is written last, when everything is on
the disk.

QEMU does not check anything: it starts from a damaged state as if it were sound. So no template
is used before every byte of it has been read and compared. Holes in the memory's file count as
zeros.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lab.errors import MachineError
from lab.machine import sparse_files, template_folder
from lab.machine.template_folder import Hold
from lab.util import files, reading

#: The version of a template's layout. Increase it when that changes: then old ones are not used.
FORMAT = 1
MANIFEST, RAM, STATE = "manifest.json", "ram", "state"


@dataclass(frozen=True)
class Template:
    """A stored machine.

    Attributes:
        stops: how many stops dom0 had made when the machine was stored; 0: it did not stand at one.
        parts: the digest of each part, by its path in the template.
        about: what the template was made of, for people.
        hold: keeps it from being removed; ``None`` if it is only looked at.
    """

    path: Path
    key: str
    stops: int
    parts: Mapping[str, str]
    about: Mapping[str, Any]
    hold: Hold | None = field(default=None, repr=False, compare=False)

    @property
    def ram(self) -> Path:
        return self.path / RAM

    @property
    def state(self) -> Path:
        return self.path / STATE

    def said(self, what: str) -> Iterator[tuple[str, Path]]:
        """The stored output of consoles (``console``) or traces (``trace``).

        Yields each file's name in the run's folder of these, and its path in the template.
        """
        for name in self.parts:
            if name.startswith(f"{what}/"):
                yield name.removeprefix(f"{what}/"), self.path / name


class Damaged(MachineError):
    """A template differs from what was stored; the message names the part."""


def find(root: Path, key: str) -> Template | None:
    """The template with this key, not yet verified; ``None`` if there is none.

    Raises:
        Damaged: its manifest cannot be read, was altered, or belongs to another template.
    """
    folder = root / key
    if not folder.is_dir():
        return None
    try:
        data = reading.json_file(folder / MANIFEST)
        template = Template(
            folder, data["key"], int(data["stops"]), dict(data["parts"]), data["about"]
        )
        seal = data["seal"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{MANIFEST} of the template {key[:12]} cannot be read: {error}") from error
    if seal != _seal(template) or template.key != key:
        raise Damaged(f"{MANIFEST} of the template {key[:12]} was altered, or belongs to another")
    return template


def held(template: Template) -> Template:
    """The same template. Nobody removes it as long as the caller keeps what this returns.

    Raises:
        Damaged: others have just removed it, or made it anew.
    """
    try:
        return replace(template, hold=template_folder.hold(template.path))
    except OSError as error:
        raise _damaged(template, "the folder", f"cannot be read: {error.strerror}") from error


def verify(template: Template) -> None:
    """Read and compare every part. Start no machine from a template before this has returned.

    Raises:
        Damaged: a part is missing, cut short or altered, or there is a file too many.
    """
    try:
        there = {
            str(path.relative_to(template.path))
            for path in template.path.rglob("*")
            if not path.is_dir() or path.is_symlink()
        }
    except OSError as error:  # others remove it
        raise _damaged(template, "the folder", f"cannot be read: {error.strerror}") from error
    for name in sorted(set(template.parts) - there):
        raise _damaged(template, name, "is missing")
    for name in sorted(there - set(template.parts) - {MANIFEST}):
        raise _damaged(template, name, "does not belong to it")
    for name, wanted in template.parts.items():
        try:
            found = sparse_files.digest(template.path / name)
        except OSError as error:
            raise _damaged(template, name, f"cannot be read: {error.strerror}") from error
        if found != wanted:
            raise _damaged(template, name, "was altered")


def store(
    root: Path,
    key: str,
    parts: Mapping[str, Path],
    stops: int,
    about: Mapping[str, Any],
) -> Template:
    """Make a template of ``parts`` (path in the template → file). The files are moved into it.
    Nobody removes it as long as the caller has it.

    If somebody holds another one of this key, that one stays where it is. The new one is the
    caller's alone then, and :func:`drop` removes it.

    Raises:
        OSError: the disk has no room.
    """
    work, handle = template_folder.begin(root)
    try:
        for name, source in parts.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            _move(source, work / name)
        hashes = {name: sparse_files.digest(work / name) for name in parts}
        template = Template(work, key, stops, hashes, about)
        _write_manifest(template)
        with template_folder.locked(root):
            place = _put(work, root, key)
            hold = Hold(os.dup(handle))
            template_folder.make_room(root)
        return Template(place, key, stops, hashes, about, hold)
    except BaseException:
        files.remove_tree(work)
        raise
    finally:
        os.close(handle)


def _put(work: Path, root: Path, key: str) -> Path:
    """Put a new template in the place of its key, unless others start from what is there. Returns
    where it is."""
    with template_folder.nobody_holds(root / key) as free:
        if not free:
            return work
        with contextlib.suppress(FileNotFoundError):
            template_folder.remove(root / key)
        work.rename(root / key)
        _sync(root)
    return root / key


def drop(template: Template) -> None:
    """Remove a template that is the caller's alone; see :func:`store`. Others stay."""
    if template.path.name.startswith(template_folder.HALF_MADE):
        files.remove_tree(template.path)


def used(template: Template) -> None:
    """Note that a template is used now. Those that were not used for longest are removed first."""
    with contextlib.suppress(OSError):
        os.utime(template.path)


def set_aside_damaged(root: Path, key: str) -> Path | None:
    """Take a template out of use if it is damaged. Returns its new place; ``None`` if it is whole,
    or not there: others may have removed it, or made it anew, while somebody looked at it."""
    with template_folder.locked(root):
        try:
            if found := find(root, key):
                verify(found)
        except Damaged:
            return _set_aside(root, key)
    return None


def _set_aside(root: Path, key: str) -> Path:
    """Move a template to its other place, where only the newest of a key is kept."""
    aside = root / f".aside-{key}"
    files.remove_tree(aside)
    (root / key).rename(aside)
    return aside


def everything(root: Path) -> list[Template]:
    """All templates whose manifests can be read, in order of their keys."""
    found = []
    for manifest in sorted(root.glob(f"[0-9a-f]*/{MANIFEST}")):
        with contextlib.suppress(Damaged):
            if template := find(root, manifest.parent.name):
                found.append(template)
    return found


def _move(source: Path, target: Path) -> None:
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        sparse_files.copy(source, target)
        source.unlink()


def _damaged(template: Template, part: str, what: str) -> Damaged:
    return Damaged(f"{part} of the template {template.key[:12]} {what}")


def _seal(template: Template) -> str:
    """A hash over the whole manifest, which shows a flipped bit in it."""
    about = dict(template.about)
    return files.sha256_json(
        [FORMAT, template.key, template.stops, dict(template.parts), about]
    )  # fmt: skip


def _write_manifest(template: Template) -> None:
    """Write the manifest, after all parts are safely on the disk."""
    for name in template.parts:
        with reading.binary(template.path / name) as file:
            os.fsync(file.fileno())
    data = {
        "key": template.key,
        "stops": template.stops,
        "parts": dict(template.parts),
        "about": dict(template.about),
        "seal": _seal(template),
    }
    files.write_atomic(template.path / MANIFEST, json.dumps(data, indent=1))
    _sync(template.path)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def lay(template: Template, consoles: Path, traces: Path) -> None:
    """Begin a run's logs and traces with those of the template."""
    for what, folder in (("console", consoles), ("trace", traces)):
        for name, path in template.said(what):
            files.copy_file(path, folder / name)
