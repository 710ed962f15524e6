"""Registers out of what Xen prints when it crashes (xen/arch/arm/traps.c, ``show_registers``).

They are those of the code that faulted, which the processor itself has lost by then.
"""

from __future__ import annotations

import re

#: Each dump begins so; the last one is that of the panic.
_BEGIN = re.compile(r"^----\[ Xen-", re.M)
_PREFIX = re.compile(r"^\(XEN\) (?:\[[^\]]*\] ?)?", re.M)
_REGISTER = re.compile(
    r"(?<![\w.])(R\d{1,2}|X\d{1,2}|FP|PC|CPSR|LR|SP): *([0-9a-f]{16}|[0-9a-f]{8})\b"
)
#: What GDB calls the registers of arm64 that Xen prints by another name, and their digits.
_WIDE_NAMES, _WIDE = {"fp": "x29", "lr": "x30"}, 16


def registers(log: str) -> dict[str, int]:
    """The registers of the last dump in the end of Xen's log, by GDB's names.

    Empty if there is no dump, or if it is of a guest.

    >>> registers('''(XEN) ----[ Xen-4.17.5  arm32  debug=n  Not tainted ]----
    ... (XEN) PC:     00219bf0 f+0x40/0x100
    ... (XEN) CPSR:   6007005a MODE:Hypervisor
    ... (XEN)      R0: 002af5dc R1: 00000000''')
    {'pc': 2202608, 'cpsr': 1610940506, 'r0': 2815452, 'r1': 0}
    """
    text = _PREFIX.sub("", log)
    begins = [one.end() for one in _BEGIN.finditer(text)]
    dump = text[begins[-1] :] if begins else ""
    mode = re.search(r"MODE:.*Hypervisor", dump)
    found: dict[str, int] = {}
    for name, value in _REGISTER.findall(dump) if mode else ():
        known = name.lower()
        if len(value) == _WIDE:
            known = _WIDE_NAMES.get(known, known)
        found.setdefault(known, int(value, 16))
    return found
