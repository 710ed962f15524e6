"""The CPUs that a guest may run on, as labs.yaml and xl.cfg(5) write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator

from lab.util.terminal import quote

#: The most CPUs that a machine has.
MOST = 8
_PART = re.compile(r"(\^?)(?:(all|any)|([0-7])(?:-([0-7]))?)")


@dataclass(frozen=True)
class CpuSet:
    """A set of CPUs. ``numbers``: empty means any. ``of_all``: the text began with ``all``, so CPUs
    that the machine lacks are left out without an error. ``given``: the items, if it was a list."""

    numbers: tuple[int, ...] = ()
    of_all: bool = False
    given: tuple[str, ...] = ()


def read(value: Any) -> CpuSet:
    """``1``, ``[0, 2]``, ``0-3,^1``, ``all,^0``.

    Raises:
        ValueError: the text is wrong; the message says what would be right.
    """
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in items):
        raise ValueError("must be CPUs such as 1, [0, 2], 0-3 or all,^0")
    found: list[int] = []
    of_all = False
    for part in ",".join(items).replace(" ", "").split(",") if items else ():
        numbers, without, every = _part(part)
        of_all |= every
        if without:
            found = [cpu for cpu in found if cpu not in numbers]
        else:
            found += numbers
    if items and not found:
        raise ValueError(f"{quote(','.join(items))} leaves no CPU; begin with all or a range")
    if of_all and len(set(found)) == MOST:
        return CpuSet()
    given = tuple(items) if isinstance(value, list) else ()
    return CpuSet(tuple(dict.fromkeys(found)), of_all, given)


def _part(part: str) -> tuple[range, bool, bool]:
    match = _PART.fullmatch(part)
    if not match:
        why = "; the machine has only one NUMA node" if part.startswith(("node", "^node")) else ""
        raise ValueError(
            f"{quote(part)} is not a CPU{why}; write numbers from 0 to {MOST - 1}, ranges (0-3), "
            "all, and ^1 to leave a CPU out"
        )
    without, every, first, last = match.groups()
    if every:
        return range(MOST), bool(without), not without
    low, high = int(first), int(last or first)
    if high < low:
        raise ValueError(f"{quote(part)} is an empty range; the lower number comes first")
    return range(low, high + 1), bool(without), False


GuestCpus = Annotated[CpuSet, BeforeValidator(read)]
