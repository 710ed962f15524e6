"""The help pages: all tasks, and one task."""

from __future__ import annotations

import inspect
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from invoke.collection import Collection
from invoke.parser.context import ParserContext

from lab import __version__
from lab.cli.lab_task import TASKS, VALUES, About
from lab.util.resources import in_checkout

#: Groups of tasks in the order in which a newcomer meets them. ``""``: tasks without a group.
GROUPS = {
    "lab": "Labs",
    "cluster": "Labs on other machines",
    "guest": "Guests",
    "trace": "Timing",
    "image": "Images",
    "template": "Templates (booted labs, stored for instant restore)",
    "bundle": "Bundles (one file with all that labs need)",
    "toolchain": "Toolchain",
    "": "This machine",
    "test": "The project's own tests",
}
_FIRST = (
    ("lab.up", "boot Xen, Linux and a FreeRTOS guest"),
    ("lab.console", "type to the guest; Ctrl-] leaves"),
    ("lab.down", "stop it"),
)
#: The least and the largest width of a page, in columns, whatever the terminal.
_NARROW, _WIDE = 40, 100


def all_tasks(tasks: Collection, only: str = "") -> Iterator[str]:
    """The page of ``./inv`` alone; ``only`` one group of it."""
    rows = {group: list(_rows(tasks, group)) for group in GROUPS if not only or group == only}
    if not only:
        yield f"xenlab {__version__}: a virtual lab for Xen on ARM, in QEMU"
        yield ""
        yield "Start here:"
        yield from _columns([(f"./inv {name}", words) for name, words in _FIRST], least=26)
    least = max((len(usage) for some in rows.values() for usage, _ in some), default=0)
    for group, some in rows.items():
        if some:
            yield ""
            yield from textwrap.wrap(GROUPS[group], _width())
            yield from _columns(some, least=least)
    if not only:
        yield ""
        yield from _columns([
            ("./inv TASK --help", "the arguments and options of a task, with an example"),
            ("./inv --version", "the version of xenlab"),
            *([("README.md, docs/", "where to read more")] if in_checkout() else []),
        ], least=26)  # fmt: skip


def one_task(name: str, context: ParserContext, docstring: str) -> Iterator[str]:
    """The page of ``./inv TASK --help``."""
    about = TASKS[name]
    options = list(_options(context, about))
    yield f"Usage: ./inv {about.usage}{' [options]' if options else ''}"
    yield ""
    for paragraph in inspect.cleandoc(docstring).split("\n\n"):
        if paragraph.startswith("  "):  # to be copied as it is
            yield from paragraph.splitlines()
        else:
            yield from textwrap.wrap(" ".join(paragraph.split()), _width())
        yield ""
    words = [(word.upper(), about.help.get(word, "")) for word in about.words]
    least = max((len(left) for left, _ in (*words, *options)), default=0)
    if words:
        yield "Arguments:"
        yield from _columns(words, least=least)
        yield ""
    if options:
        yield "Options:"
        yield from _columns(options, least=least)
        yield ""
    yield "Example:"
    yield f"  ./inv {about.example}"


def _rows(tasks: Collection, group: str) -> Iterator[tuple[str, str]]:
    for task in (tasks.collections[group] if group else tasks).tasks.values():
        yield task.about.usage, inspect.cleandoc(task.__doc__ or "").partition("\n")[0]


def _options(context: ParserContext, about: About) -> Iterator[tuple[str, str]]:
    """Each option with its short one and what it takes, by name."""
    for argument in sorted(context.args.values(), key=lambda one: str(one.name)):
        if argument.positional:
            continue
        short = next((f"-{name}, " for name in argument.names if len(name) == 1), "    ")
        value = f"={VALUES.get(argument.name, 'VALUE')}" if argument.takes_value else ""
        yield f"{short}--{argument.name}{value}", about.help.get(argument.name, "")


def _columns(rows: Sequence[tuple[str, str]], least: int = 0) -> Iterable[str]:
    """Two columns, the right one wrapped. In a narrow terminal it goes below the left one."""
    left = max(least, *(len(one) for one, _ in rows))
    room = _width() - left - 4
    for one, words in rows:
        if room < 24:
            yield f"  {one}"
            yield from textwrap.wrap(words, _width() - 6, initial_indent=" " * 6,
                                     subsequent_indent=" " * 6)  # fmt: skip
            continue
        lines = textwrap.wrap(words, room) or [""]
        yield f"  {one:{left}}  {lines[0]}".rstrip()
        yield from (" " * (left + 4) + line for line in lines[1:])


def _width() -> int:
    return min(_WIDE, max(_NARROW, shutil.get_terminal_size().columns - 1))
