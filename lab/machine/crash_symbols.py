"""Adds names of functions to the lines of a crash dump.

Xen names some addresses of a dump itself (``[<0026a1a8>] panic+0x138/0x1f0``), but not those in
registers and on the stack. Their functions are looked up in ``xen-syms``, which the run folder
has if Xen was built from source.

A FreeRTOS guest prints registers if it faults (images/freertos/port/fault.c). Those that point at
code get the function, the file and the line, out of the guest's ELF file in the run folder.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path

from lab.model import ARCHITECTURES, ARM32, architecture
from lab.rundir import RunDir
from lab.util import line_table, symbols

#: A bare address: all digits of a word, without a name behind it; by the bytes of a word.
_ADDRESSES = {
    one.word: re.compile(
        rf"(?<![0-9A-Za-z])([0-9a-f]{{{2 * one.word}}})(?![0-9A-Za-z])(?!(?:>\])? \S+\+0)"
    )
    for one in ARCHITECTURES
}

#: An address in the lines that a guest prints when it faults.
_FAULT = re.compile(
    r"(?:\b(?:pc|lr) |^\*\*\* (?:undefined instruction at|cannot execute at) )([0-9a-f]{8})\b"
)


def explainer(log: Path) -> Callable[[str], str]:
    """The function that adds names to a line of this log; it changes only lines of a crash."""
    run = RunDir(log.parent.parent)
    if log.name != "xen.log":
        elf = run.guest_dir / f"{log.stem}.elf"
        return functools.partial(explain_guest, elf) if elf.is_file() else str
    if not run.symbols_file.is_file():
        return str
    word = architecture.of_run(run.manifest()).word
    return functools.partial(explain, _read(run.symbols_file), word=word)


def explain(known: symbols.Symbols, line: str, word: int = ARM32.word) -> str:
    """A line of Xen's with the names of its bare addresses behind it; other lines stay.

    ``word``: how many bytes an address has.

    >>> explain(symbols.Symbols((0x200000,), ("start",), ((0x200000, 0x200100),)),
    ...         "(XEN) HYP: SP: 4002ff34 LR: 00200014")
    '(XEN) HYP: SP: 4002ff34 LR: 00200014   # 00200014 start+0x14'
    """
    if not line.startswith("(XEN)"):
        return line
    named = {found: known.at(int(found, 16)) for found in _ADDRESSES[word].findall(line)}
    words = ", ".join(f"{address} {name}" for address, name in named.items() if name)
    return f"{line}   # {words}" if words else line


def explain_guest(elf: Path, line: str) -> str:
    """A line of a guest's fault with the places of its addresses behind it; other lines stay."""
    found = [one[1] for one in _FAULT.finditer(line)]
    if not found:
        return line
    known, lines = _read(elf), _read_lines(elf)
    named = {one: (known.at(int(one, 16)), lines.at(int(one, 16))) for one in dict.fromkeys(found)}
    words = ", ".join(
        f"{one} {name} at {place}" if place else f"{one} {name}"
        for one, (name, place) in named.items()
        if name
    )
    return f"{line}   # {words}" if words else line


@functools.lru_cache(maxsize=16)
def _read_lines(path: Path) -> line_table.Lines:
    return line_table.read(path)


@functools.lru_cache(maxsize=16)
def _read(path: Path) -> symbols.Symbols:
    return symbols.read(path)
