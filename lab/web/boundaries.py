"""What a participant may write into labs.yaml: guests, whose files are in their own folder, and
the lab's processors and scheduler, if the teacher's labs.yaml has them.

A path is refused if it leads out of the seat's folder ``guests``, unless the teacher's labs.yaml
has the same value there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.errors import ConfigError
from lab.util import reading
from lab.util.terminal import quote
from lab.web import excerpt

#: The folder of a seat in which a participant's files are.
FOLDER = "guests"
#: Keys of a guest with files, each as a path. Paths in ``disk`` are only those of the teacher.
PATHS = ("freertos", "linux", "project", "kernel", "ramdisk", "elf")
#: In a guest with ``project``, these are in its folder already.
OF_PROJECT = ("kernel", "elf")
#: The largest text of guests, in bytes.
LARGEST = 64 << 10
#: The most processors of a seat's machine: many seats share one host.
MOST_CPUS = 4


def check(folder: Path, text: str) -> None:
    """Check the text that a participant wrote, before it becomes a part of the seat's labs.yaml.

    ``folder``: the seat's.

    Raises:
        ConfigError: it is not YAML, has something else than is the participant's, or names a file
            elsewhere. The message begins with ``labs.yaml:line:column``.
    """
    if len(text.encode()) > LARGEST:
        raise ConfigError(f"labs.yaml:1:1: it is larger than {reading.size(LARGEST)}")
    if excerpt.REST in text:
        raise ConfigError(f"labs.yaml:1:1: the line {quote(excerpt.REST)} cannot be in it")
    root = _parsed(text)
    first = _parsed(reading.text(folder / excerpt.FIRST))
    _check_keys(root, _lab(first))
    allowed = {key: set(values) for key, values in _values(first).items()}
    for key, node, in_project in _paths(root):
        value = _plain(node)
        if in_project or value in allowed.get(key, ()):
            continue
        if key == "disk":
            raise _refused(node, "the disks of guests are your teacher's")
        if not isinstance(value, str) or not _is_inside(folder, value):
            words = f"{quote(key)}: {quote(str(value))} is not in your folder '{FOLDER}'"
            raise _refused(node, words)


def _check_keys(root: yaml.Node, lab: yaml.Node | None) -> None:
    """``lab``: the name of the lab whose keys may be changed, as the seat had it at first."""
    names = [key.value for key, _ in root.value] if isinstance(root, yaml.MappingNode) else []
    if lab is None:
        if names != ["guests"]:
            raise ConfigError("labs.yaml:1:1: only 'guests' can be changed here")
        return
    if names not in (["guests"], ["guests", "labs"]):
        raise ConfigError("labs.yaml:1:1: only 'guests', and after it 'labs', can be changed here")
    for key, labs in root.value[1:]:
        own = _block(labs) and labs.value[0]
        if not own or len(labs.value) > 1 or own[0].value != lab.value or not _block(own[1]):
            raise _refused(key, f"only {quote(lab.value)} can be below it, each key on its line")
        for word, value in own[1].value:
            _check_own(word, value)


def _check_own(key: yaml.Node, value: yaml.Node) -> None:
    if key.value not in excerpt.OWN:
        words = " and ".join(quote(one) for one in excerpt.OWN)
        raise _refused(key, f"of the lab only {words} can be changed here")
    text = str(value.value)
    if key.value == "cpus" and text.isdecimal() and (len(text) > 2 or int(text) > MOST_CPUS):
        raise _refused(value, f"a seat has at most {MOST_CPUS} CPUs")


def _block(node: yaml.Node) -> bool:
    """Whether it is a mapping with a line for each key: others can be added below it."""
    return isinstance(node, yaml.MappingNode) and bool(node.value) and not node.flow_style


def _lab(first: yaml.Node) -> yaml.Node | None:
    """The name of the lab in what the seat had at first, if it has keys there."""
    for key, labs in first.value:
        if key.value == "labs":
            return labs.value[0][0]  # type: ignore[no-any-return]
    return None


def _is_inside(folder: Path, value: str) -> bool:
    path, root = folder / value, (folder / FOLDER).resolve()
    absolute = value.startswith(("/", "~"))
    return not absolute and path.resolve() != root and path.resolve().is_relative_to(root)


def _paths(root: yaml.Node) -> Iterator[tuple[str, yaml.Node, bool]]:
    """Each path of each guest: its key, its value, and whether it is in a project's folder."""
    for guest in _mappings(root):
        keys = {key.value for key, _ in guest.value}
        for key, node in guest.value:
            if key.value in (*PATHS, "disk"):
                yield key.value, node, "project" in keys and key.value in OF_PROJECT


def _mappings(root: yaml.Node) -> Iterator[yaml.MappingNode]:
    """The guests. What has another shape is refused later, as in every labs.yaml."""
    for name, guests in root.value:
        below = guests.value if isinstance(guests, yaml.MappingNode) else ()
        for _, guest in below if name.value == "guests" else ():
            if isinstance(guest, yaml.MappingNode):
                yield guest


def _values(root: yaml.Node) -> Mapping[str, list[Any]]:
    """The values that each key with a path has in the text that the seat had at first."""
    found: dict[str, list[Any]] = {}
    for key, node, _ in _paths(root):
        found.setdefault(key, []).append(_plain(node))
    return found


def _parsed(text: str) -> Any:
    try:
        events = list(yaml.parse(text, yaml.SafeLoader))
        if any(isinstance(event, yaml.AliasEvent) for event in events):
            raise ConfigError("labs.yaml:1:1: anchors and aliases cannot be used here")
        return yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        raise ConfigError(f"labs.yaml:{place}: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"labs.yaml:1:1: this is not YAML: {error}") from error


def _plain(node: yaml.Node) -> Any:
    """A value as text, or as a tuple of its items."""
    if isinstance(node, yaml.ScalarNode):
        return node.value
    return tuple(_plain(one) for one in node.value if isinstance(one, yaml.Node))


def _refused(node: yaml.Node, words: str) -> ConfigError:
    mark = node.start_mark
    return ConfigError(f"labs.yaml:{mark.line + 1}:{mark.column + 1}: {words}")
