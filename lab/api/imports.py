"""Imports a configuration of ImageBuilder or xl into labs.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab import config
from lab.errors import ConfigError, UsageError
from lab.util import files, reading
from lab.util.terminal import escape


@dataclass(frozen=True)
class Imported:
    """What became of a configuration.

    Attributes:
        kind: ``ImageBuilder`` or ``xl``.
        text: the sections for labs.yaml.
        guests, labs: their names.
        notes: what was left out or changed, each as ``file:line:column: why``.
        problem: why labs.yaml would refuse the sections, with places in ``text``; or empty.
        into: the file that they were added to.
    """

    kind: str
    text: str
    guests: tuple[str, ...]
    labs: tuple[str, ...]
    notes: tuple[str, ...]
    problem: str = ""
    into: Path | None = None


def import_config(
    file: Path, *, into: Path | None = None, name: str = "", folder: Path | None = None
) -> Imported:
    """Read a configuration of ImageBuilder or xl as guests and a lab. Nothing of it is run.

    ``into``: a labs.yaml to which they are added; it is made if there is none. ``name``: of the
    lab. ``folder``: what the configuration's paths are relative to; by default its own.

    Raises:
        UsageError: ``folder`` is no folder.
        ConfigError: a line is not understood, or a name is taken. With ``into`` also if labs.yaml
            would not load any more; then nothing is written.
    """
    from lab.config.imported import block, reader  # slow to load, and seldom needed

    if folder is not None and not folder.is_dir():
        raise UsageError(f"--folder: {escape(str(folder))} is not a folder")

    target = (into or Path("labs.yaml")).absolute()
    wanted = reader.Wanted(file, name, folder or file.absolute().parent, target.parent)
    kind, found = reader.read(wanted)
    text = block.text(found.sections())
    where = escape(str(file))
    notes = [
        f"{where}:{one.mark.line}:{one.mark.column}: {one.text}" for one in sorted(found.notes)
    ]
    problem = ""
    if into is not None:
        _write(into, reader.added(into, _bytes(into), found))
    else:
        try:
            reader.check(Path("labs.yaml"), text.encode())
        except ConfigError as error:
            problem = error.message
    return Imported(kind, text, tuple(found.guests), tuple(found.labs), tuple(notes), problem, into)


def _bytes(into: Path) -> bytes:
    try:
        return reading.data(into, config.MAX_BYTES)
    except FileNotFoundError:
        return b""


def _write(into: Path, raw: bytes) -> None:
    """Write a labs.yaml. A link stays a link, and the file keeps its mode."""
    place = into.resolve()
    mode = place.stat().st_mode & 0o7777 if place.exists() else None
    files.write_atomic(place, raw)
    if mode is not None:
        place.chmod(mode)
