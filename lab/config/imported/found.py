"""What is read from another configuration, before it is text of labs.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lab.config.units import name as usable_name
from lab.config.yaml_source import Mark

#: A value of labs.yaml: a text, a list, or a mapping.
Value = Any


@dataclass(frozen=True)
class Given:
    """A value of a file and its place.

    ``expansion``: what a shell would replace in it, such as ``$NAME``; then ``value`` is not the
    value that the shell would see.
    """

    value: Any
    mark: Mark
    expansion: str = ""


@dataclass(frozen=True, order=True)
class Note:
    """A key of the file that the import left out or changed, and why."""

    mark: Mark
    key: str
    text: str


@dataclass
class Found:
    """Sections of labs.yaml: name → keys and their values, in the order in which they are written.

    ``notes`` says what of the file is not in them.
    """

    hypervisors: dict[str, dict[str, Value]] = field(default_factory=dict)
    guests: dict[str, dict[str, Value]] = field(default_factory=dict)
    labs: dict[str, dict[str, Value]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def sections(self) -> dict[str, dict[str, dict[str, Value]]]:
        """The sections that have something in them, in the order of labs.yaml."""
        found = {"hypervisors": self.hypervisors, "guests": self.guests, "labs": self.labs}
        return {name: entries for name, entries in found.items() if entries}


def name_like(text: str) -> str:
    """A name that labs.yaml accepts, as near to ``text`` as can be."""
    letters = [one if one.isascii() and one.isalnum() else "-" for one in text.lower()]
    found = "".join(letters).strip("-")
    while "--" in found:
        found = found.replace("--", "-")
    found = found[:24].rstrip("-") or "imported"
    return usable_name(found)
