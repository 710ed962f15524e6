"""labs.yaml as text in dicts and lists, and the place of each value in the file.

Scalars stay text: our own rules read them, not YAML's. Bytes, depth and the number of values are
bounded, so that no file can exhaust the machine (an alias counts each time it is used).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from lab.errors import ConfigError
from lab.model import Place
from lab.util.terminal import escape, quote

MAX_DEPTH = 16
MAX_VALUES = 10_000
MAX_SHOWN = 10

#: The way to a value: keys and list indices from the top.
Loc = tuple[str | int, ...]


@dataclass(frozen=True, order=True)
class Mark:
    """A place in the file; line and column count from 1."""

    line: int = 1
    column: int = 1


class Source:
    """A file that is being read: its values, their places, and the problems found so far."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.data: dict[str, Any] = {}
        #: The paths that the file names, as written there, and whether each is a folder.
        self.looked: list[tuple[str, bool]] = []
        self._values: dict[Loc, Mark] = {}
        self._keys: dict[Loc, Mark] = {}
        self._problems: set[tuple[Mark, str]] = set()
        self._left = MAX_VALUES

    def add(self, loc: Loc, text: str, *, key: bool = False) -> None:
        """A problem with the value (or the key) at ``loc``, or at the nearest place above."""
        marks = self._keys if key else self._values
        while loc and loc not in marks:
            loc, marks = loc[:-1], self._values
        self.add_at(marks.get(loc, Mark()), text)

    def add_at(self, mark: Mark, text: str) -> None:
        self._problems.add((mark, text))

    def mark(self, loc: Loc, mark: Mark) -> None:
        """Give a place to the key and the value at ``loc``."""
        self._values[loc] = self._keys[loc] = mark

    def taken(self) -> list[tuple[Mark, str]]:
        """The problems found so far, in the file's order. They are no problems any more."""
        found = sorted(self._problems)
        self._problems.clear()
        return found

    def copy_mark(self, given: Loc, to: Loc) -> None:
        """Give the place of ``given`` to ``to`` as well."""
        self._values[to] = self._values[given]
        self._keys[to] = self._keys[given]

    def line(self, loc: Loc) -> int:
        """The line of the value at ``loc``, or of the nearest place above."""
        return self.place(loc).line

    def place(self, loc: Loc) -> Place:
        """The place of the value at ``loc``, or the nearest place above."""
        while loc and loc not in self._values:
            loc = loc[:-1]
        mark = self._values.get(loc, Mark())
        return Place(self.file.absolute(), mark.line, mark.column)

    def check(self) -> None:
        """Raise one error with all problems found so far, in the file's order."""
        if not self._problems:
            return
        found = sorted(self._problems)
        name = escape(str(self.file))
        lines = [f"{name}:{mark.line}:{mark.column}: {text}" for mark, text in found[:MAX_SHOWN]]
        if len(found) > MAX_SHOWN:
            lines.append(f"… and {len(found) - MAX_SHOWN} more")
        raise ConfigError("\n".join(lines))

    def fail(self, mark: Mark, text: str) -> NoReturn:
        """Add a problem and stop: the rest of the file cannot be understood."""
        self.add_at(mark, text)
        self.check()
        raise AssertionError("unreachable")

    # ------------------------------------------------------------ from nodes to values

    def convert(self, node: yaml.Node, loc: Loc = ()) -> Any:
        """The node's value; its marks and problems are kept under ``loc``."""
        self._left -= 1
        if self._left < 0:
            self.fail(_mark(node), f"more than {MAX_VALUES} values (aliases count each time)")
        if len(loc) > MAX_DEPTH:
            self.fail(_mark(node), f"nested deeper than {MAX_DEPTH}")
        self._values[loc] = _mark(node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, loc)
        if isinstance(node, yaml.SequenceNode):
            return [self.convert(item, (*loc, i)) for i, item in enumerate(node.value)]
        if loc and not node.value and not getattr(node, "style", None):
            self.add(loc, f"{_title(loc)} is empty; write a value or leave it out")
        return str(node.value)

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.add_at(_mark(key), "a key must be a single word")
                continue
            name = str(key.value)
            below = (*loc, name)
            if name in found:
                first = self._keys[below].line
                self.add_at(
                    _mark(key), f"key {quote(name)} is there twice; the first is on line {first}"
                )
                continue
            self._keys[below] = _mark(key)
            if node.flow_style and _has_no_colon(key, value):
                text = f"{quote(name)} has no value; text with a comma needs quotation marks here"
                self.add_at(_mark(key), text)
                found[name] = ""
                continue
            # If every line of a section is commented out, the section is empty.
            empty = not loc and isinstance(value, yaml.ScalarNode) and not value.value
            found[name] = {} if empty else self.convert(value, below)
        return found


class _Composer(yaml.SafeLoader):
    """Makes nodes only, within bounds and without tags. It constructs no objects."""

    depth = 0
    count = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        self.depth += 1
        self.count += 1
        if self.depth > MAX_DEPTH + 2:
            self._refuse(event, f"nested deeper than {MAX_DEPTH}")
        if self.count > 2 * MAX_VALUES:
            self._refuse(event, f"more than {MAX_VALUES} values")
        if getattr(event, "tag", None) is not None:
            self._refuse(event, "YAML tags (!…) are not supported; leave it out")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    @staticmethod
    def _refuse(event: Any, text: str) -> NoReturn:
        raise yaml.MarkedYAMLError(problem=text, problem_mark=event.start_mark)


def read(file: Path, raw: bytes) -> Source:
    """Read a labs file with these bytes; its top must be a mapping.

    Raises:
        ConfigError: the file is not UTF-8 or not YAML, or a key is there twice.
    """
    source = Source(file)
    node = _compose(source, _text(source, raw))
    if node is None:
        source.fail(Mark(), "the file is empty; it needs 'guests:' and 'labs:'")
    if not isinstance(node, yaml.MappingNode):
        source.fail(_mark(node), "the file must be a mapping with 'guests:' and 'labs:'")
    source.data = source.convert(node)
    source.check()
    return source


def _text(source: Source, raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig", "replace")
        byte = raw[error.start]
        source.fail(_place(before), f"byte 0x{byte:02x} is not UTF-8; is this a text file?")


def _compose(source: Source, text: str) -> yaml.Node | None:
    """The nodes of a text. libyaml is ten times as fast. If it refuses a text, or the text is out
    of bounds, PyYAML reads it again and says why and where."""
    if yaml.__with_libyaml__:
        with contextlib.suppress(yaml.YAMLError, ValueError, OverflowError):
            if _is_plain(text):
                return yaml.compose(text, yaml.CSafeLoader)
    return _compose_slowly(source, text)


def _is_plain(text: str) -> bool:
    """Whether a text is within bounds, and without tags."""
    depth = count = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        count += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or count > MAX_VALUES or getattr(event, "tag", None) is not None:
            return False
    return True


def _compose_slowly(source: Source, text: str) -> yaml.Node | None:
    try:
        loader = _Composer(text)
    except yaml.reader.ReaderError as error:
        what = f"character U+{ord(str(error.character)[:1]):04X}"
        if isinstance(error.character, int):
            what = f"character U+{error.character:04X}"
        source.fail(_place(text[: error.position]), f"{what} is not allowed in a YAML file")
    try:
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = ", ".join(part for part in (error.context, error.problem) if part)
        source.fail(Mark(mark.line + 1, mark.column + 1) if mark else Mark(), escape(words))
    except (ValueError, OverflowError):
        # PyYAML does not check "\U7fffffff" and "%YAML 1.<5000 digits>".
        mark = loader.get_mark()
        source.fail(Mark(mark.line + 1, mark.column + 1), "a number or character out of range")
    finally:
        loader.dispose()


def _place(before: str) -> Mark:
    """The place after this text."""
    return Mark(before.count("\n") + 1, len(before) - before.rfind("\n"))


def _mark(node: yaml.Node) -> Mark:
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1)


def _has_no_colon(key: yaml.Node, value: yaml.Node) -> bool:
    """Whether a key in braces is a bare word: ``raw`` in ``{disk: a.img,raw}``."""
    ends = key.end_mark.line, key.end_mark.column
    return not value.value and (value.start_mark.line, value.start_mark.column) == ends


def _title(loc: Loc) -> str:
    words = [part for part in loc if isinstance(part, str)]
    return quote(words[-1]) if words else "this"
