"""Adds sections to the text of a labs.yaml, and leaves every other byte of it as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from lab.config.imported import block
from lab.config.yaml_source import Source
from lab.util.terminal import quote

Sections = Mapping[str, Mapping[str, Mapping[str, Any]]]


def insert(source: Source, text: str, new: Sections) -> str:
    """The text with the new entries, each at the end of its section.

    ``source``: the file of this text, as :func:`lab.config.yaml_source.read` reads it.

    Raises:
        ConfigError: a name is taken, or a section is written in one line; at its place.
    """
    top = yaml.compose(text, yaml.SafeLoader)
    assert isinstance(top, yaml.MappingNode)
    sections = {str(key.value): (key, value) for key, value in top.value}
    for section, entries in new.items():
        for name in entries:
            if name in _names(source.data.get(section)):
                words = f"there is already {quote(name)} in {quote(section)}; --name gives another"
                source.add((section, name), words, key=True)
        node = sections[section][1] if section in sections else None
        if node is not None and node.value and not _is_block(node):
            words = f"{quote(section)} is in braces; write its entries on lines of their own"
            source.add((section,), words, key=True)
    source.check()
    return _with(text, sections, new)


def _names(section: Any) -> list[str]:
    return list(section) if isinstance(section, dict) else []


def _is_block(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode) and not node.flow_style


def _with(text: str, sections: dict[str, tuple[yaml.Node, yaml.Node]], new: Sections) -> str:
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += end
    places = []
    for number, (section, entries) in enumerate(new.items()):
        at, added = _place(lines, sections.get(section), section, entries)
        places.append((at, section not in sections, number, added))
    for at, _, _, added in sorted(places, reverse=True):
        lines[at:at] = [line + end for line in added.splitlines()]
    return "".join(lines)


def _place(
    lines: list[str],
    there: tuple[yaml.Node, yaml.Node] | None,
    section: str,
    entries: Mapping[str, Mapping[str, Any]],
) -> tuple[int, str]:
    """Before which line (from 0) the entries of a section go, and their text."""
    if there is None:
        return len(lines), f"\n{block.text({section: entries})}"
    key, node = there
    if not node.value:
        return key.end_mark.line + 1, block.entries(entries, block.INDENT)
    last, value = node.value[-1]
    mark = last.start_mark
    apart = "\n" if mark.line and not lines[mark.line - 1].strip() else ""
    at = _last_line(last, value) + 1
    return at, apart + block.entries(entries, " " * mark.column)


def _last_line(key: yaml.Node, node: yaml.Node) -> int:
    """The line, from 0, on which the value of a key ends. A block node itself may end later,
    behind comments that belong to what follows; an alias has the marks of another place."""
    if node.start_mark.index < key.end_mark.index:
        return int(key.end_mark.line)
    if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
        return _last_line(*node.value[-1])
    if isinstance(node, yaml.SequenceNode) and node.value and not node.flow_style:
        return _last_line(key, node.value[-1])
    folded = getattr(node, "style", None) in ("|", ">")
    return int(node.end_mark.line) - (1 if folded else 0)
