"""Imports a file: finds out what it is, reads it, and checks that the result loads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lab.config import resolve, schema, units, yaml_source
from lab.config.imported import block, imagebuilder, insert, xl_guest
from lab.config.imported.found import Found
from lab.config.imported.named_files import NamedFiles
from lab.config.yaml_source import Mark, Source
from lab.errors import ConfigError
from lab.util import reading

#: The largest configuration in bytes.
MOST = 256 << 10
IMAGEBUILDER, XL = "ImageBuilder", "xl"
_READERS = {IMAGEBUILDER: imagebuilder.read, XL: xl_guest.read}
_OF_IMAGEBUILDER = re.compile(
    r"^[ \t]*(?:export[ \t]+)?"
    r"(?:NUM_DOMUS|DOM[0U]_\w+(?:\[\w*\])?|XEN\w*|MEMORY_\w+|DEVICE_TREE)\+?=",
    re.MULTILINE,
)
_OF_XL = re.compile(r"^[ \t]*[a-z][a-z0-9_.]*[ \t]*\+?=", re.MULTILINE)


@dataclass(frozen=True)
class Wanted:
    """What to import. ``name``: of the lab, or empty; ``folder``: what its paths are relative to;
    ``base``: the folder of the labs.yaml that it is for."""

    file: Path
    name: str
    folder: Path
    base: Path


def read(wanted: Wanted) -> tuple[str, Found]:
    """What the file is, and what of labs.yaml it becomes.

    Raises:
        ConfigError: it cannot be read, or not be understood; every problem at its place.
    """
    source = Source(wanted.file)
    text = _text(source)
    kind = _kind(source, text)
    if wanted.name:
        try:
            units.guest_name(wanted.name)
        except ValueError as error:
            raise ConfigError(f"--name: {error}") from None
    files = NamedFiles(wanted.folder, wanted.base)
    return kind, _READERS[kind](source, text, wanted.name, files)


def _text(source: Source) -> str:
    try:
        return reading.data(source.file, MOST).decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{source.file}: no such file") from None
    except UnicodeDecodeError as error:
        source.fail(
            Mark(error.object.count(b"\n", 0, error.start) + 1), "it is not a text in UTF-8"
        )
    except reading.Unfit as error:
        source.fail(Mark(), error.strerror or "")


def _kind(source: Source, text: str) -> str:
    if _OF_IMAGEBUILDER.search(text):
        return IMAGEBUILDER
    if not _OF_XL.search(text):
        words = "neither an ImageBuilder configuration (NUM_DOMUS=…) nor one of xl (name = …)"
        source.fail(Mark(), words)
    return XL


def added(file: Path, raw: bytes, found: Found) -> bytes:
    """The bytes of a labs.yaml with what was imported, checked.

    Raises:
        ConfigError: the file has problems of its own, a name is taken, or what was imported does
            not load; with places in the new file.
    """
    if not raw.strip():
        made = block.text(found.sections()).encode()
        check(file, made)
        return made
    mark = b"\xef\xbb\xbf" if raw.startswith(b"\xef\xbb\xbf") else b""
    before = yaml_source.read(file, raw)
    made = mark + insert.insert(before, raw.decode("utf-8-sig"), found.sections()).encode()
    after = yaml_source.read(file, made)
    for section, entries in found.sections().items():
        for name in entries:
            after.data.get(section, {}).pop(name, None)
        if not after.data.get(section) and section not in before.data:
            after.data.pop(section, None)
    if after.data != before.data:
        before.fail(Mark(), "nothing can be added to this file safely; paste the block yourself")
    check(file, made)
    return made


def check(file: Path, raw: bytes) -> None:
    """Check a labs.yaml with these bytes, as every command does.

    Raises:
        ConfigError: it has problems.
    """
    source = yaml_source.read(file, raw)
    resolve.labs(source, schema.validate(source))
    source.check()
