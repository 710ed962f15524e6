"""Names of functions in Xen's log: behind a line of a crash dump, what its addresses mean.

Xen names some addresses of a dump itself (``[<0026a1a8>] panic+0x138/0x1f0``); registers and
the words of its stack are bare. Which function they are in is read from ``xen-syms``, which
the run folder has when Xen was built from source.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path

from lab.rundir import RunDir
from lab.util import symbols

#: A bare address: eight digits that Xen has not named.
_ADDRESS = re.compile(r"(?<![0-9A-Za-z])([0-9a-f]{8})(?![0-9A-Za-z])(?!(?:>\])? \S+\+0)")


def explainer(log: Path) -> Callable[[str], str]:
    """What makes a line of this console's log better to read; lines of others stay."""
    if log.name != "xen.log":
        return str
    known = RunDir(log.parent.parent).symbols_file
    if not known.is_file():
        return str
    return functools.partial(explain, _read(known))


def explain(known: symbols.Symbols, line: str) -> str:
    """A line of Xen's own with the functions of its bare addresses behind it.

    >>> explain(symbols.Symbols((0x200000,), ("start",), ((0x200000, 0x200100),)),
    ...         "(XEN) HYP: SP: 4002ff34 LR: 00200014")
    '(XEN) HYP: SP: 4002ff34 LR: 00200014   # 00200014 start+0x14'
    """
    if not line.startswith("(XEN)"):
        return line
    named = {found: known.at(int(found, 16)) for found in _ADDRESS.findall(line)}
    words = ", ".join(f"{address} {name}" for address, name in named.items() if name)
    return f"{line}   # {words}" if words else line


@functools.lru_cache(maxsize=4)
def _read(path: Path) -> symbols.Symbols:
    return symbols.read(path)
