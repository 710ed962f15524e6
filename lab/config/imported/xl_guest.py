"""A configuration of ``xl`` as a guest and a lab of labs.yaml.

Which key of xl's has which word here, or why it has none, says :mod:`lab.config.xl_words`, for
labs.yaml and for an import alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from lab.config import cpus, schema, units, xl_words
from lab.config.imported import xl_syntax
from lab.config.imported.found import Found, Given, Note, name_like
from lab.config.imported.machine import machine_memory
from lab.config.imported.named_files import NamedFiles
from lab.config.yaml_source import Source
from lab.model import Dom0Spec
from lab.util.terminal import quote

#: Keys of labs.yaml that xl does not have: a file that has one means something else.
_NOT_XL = frozenset({
    "freertos", "linux", "project", "build", "elf", "emergency_console", "trace", "may_crash",
    "start", "static_memory", "direct_map", "scheduler",
})  # fmt: skip
#: Keys of xl for a share of the CPU, and those of ``scheduler:``.
_SHARES = {"cpu_weight": "weight", "cap": "cap"}
_FILES = ("kernel", "ramdisk")


def read(source: Source, text: str, name: str, files: NamedFiles) -> Found:
    """The guest and the lab of a configuration. ``name``: theirs, if it is not empty.

    Raises:
        ConfigError: xl would not read the file, or it has no kernel; every problem at its place.
    """
    given = xl_syntax.read(source, text)
    source.check()
    found = Found()
    name = name or _name(given, source, found)
    source.data = {"guests": {name: _in_our_units(given, found)}}
    for key, one in given.items():
        source.mark(("guests", name, key), one.mark)
    xl_words.understand(source)
    found.notes += [Note(mark, "", text) for mark, text in source.taken()]
    guest: dict[str, Any] = source.data["guests"][name]
    _drop_unknown(guest, given, found)
    _drop_wrong(guest, given, found)
    _find_files(guest, given, found, files)
    if "kernel" not in guest:
        why = next((key for key in ("bootloader", "firmware", "builder") if key in given), "")
        mark = given[why].mark if why else None
        words = xl_words.instead(why) if why else "there is no 'kernel', and a guest needs one"
        source.add((), words) if mark is None else source.add_at(mark, words)
        source.check()
    found.guests[name] = guest
    found.labs[name] = _lab(source, name, guest)
    return found


def _name(given: dict[str, Given], source: Source, found: Found) -> str:
    """The guest's name, as near to that in the file as labs.yaml accepts."""
    wanted = given.get("name")
    text = str(wanted.value) if wanted else source.file.stem
    name = name_like(text)
    name = f"{name}-guest" if name in units.RESERVED_GUESTS else name
    if wanted and name != text:
        found.notes.append(Note(wanted.mark, "name", f"{quote(text)} is called {quote(name)}"))
    return name


def _in_our_units(given: dict[str, Given], found: Found) -> dict[str, Any]:
    """The keys with values as labs.yaml has them: xl's memory is in MiB, ours has a unit."""
    guest: dict[str, Any] = {}
    for key, one in given.items():
        if key in ("memory", "maxmem"):
            guest[key] = f"{_number(one.value)}M"
        elif key in _SHARES:
            guest.setdefault("scheduler", {})[_SHARES[key]] = str(one.value)
        elif key in _NOT_XL:
            found.notes.append(Note(one.mark, key, f"{quote(key)} is no key of xl's"))
        elif key != "name":
            guest[key] = one.value
    return guest


def _number(value: Any) -> str:
    """A number as strtoul(3) with base 0 reads it, which xl uses; else the text itself."""
    readers: list[Callable[[str], int]] = [
        int,
        lambda text: int(text, 0),
        lambda text: int(text, 8),
    ]
    if isinstance(value, str) and len(value) < 12:
        readers = readers[1:] if value.startswith("0") else readers
        for read_number in readers:
            try:
                return str(read_number(value))
            except ValueError:
                continue
    return str(value)


def _drop_unknown(guest: dict[str, Any], given: dict[str, Given], found: Found) -> None:
    known = schema.keys(("guests", "*"))
    for key in [key for key in guest if key not in known]:
        del guest[key]
        words = xl_words.instead(key) or f"{quote(key)} is not known here"
        found.notes.append(Note(given[key].mark, key, words))


def _drop_wrong(guest: dict[str, Any], given: dict[str, Given], found: Found) -> None:
    """Leave out values that labs.yaml would refuse, and say why it would."""
    try:
        schema.Guest.model_validate(guest)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            key = str(item["loc"][0])
            if guest.pop(key, None) is None:
                continue
            words = str(item.get("ctx", {}).get("error", "its value is not understood"))
            origin = given.get(key) or next(iter(given.values()))
            found.notes.append(Note(origin.mark, key, f"{quote(key)}: {words}"))


def _find_files(
    guest: dict[str, Any], given: dict[str, Given], found: Found, files: NamedFiles
) -> None:
    for key in _FILES:
        if key in guest:
            guest[key], said = files.path(guest[key])
            if said:
                found.notes.append(Note(given[key].mark, key, f"{quote(key)}: {said}"))


def _lab(source: Source, name: str, guest: dict[str, Any]) -> dict[str, Any]:
    """A lab with the guest alone, and a machine that is large enough for it."""
    lab: dict[str, Any] = {"description": f"imported from {source.file.name}"}
    pinned = cpus.read(guest["cpus"]) if "cpus" in guest else cpus.CpuSet()
    if pinned.numbers and not pinned.of_all:
        lab["cpus"] = str(max(pinned.numbers) + 1)
    memory = units.size(guest["memory"]) if "memory" in guest else 16 << 20
    lab |= machine_memory(memory + Dom0Spec().memory)
    return lab | {"guests": [name]}
