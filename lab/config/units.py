"""The scalars of labs.yaml: sizes, times, counts, names, texts.

Each function reads the text as it is in the file. It raises ``ValueError`` with words that say what
would be right. YAML's own interpretation (``no``, ``12:30``, ``010``) is not used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from lab.model import VUART
from lab.util import noshell
from lab.util.suggest import nearest as nearest
from lab.util.terminal import quote

SIZES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
#: A guest's trace: its default size in bytes, and its least and largest size.
TRACE_SIZE, LEAST_TRACE, MOST_TRACE = 1 << 20, 4 << 10, 32 << 20
TIMES = {"us": 0.000001, "ms": 0.001, "s": 1.0, "m": 60.0}

#: Names that belong to a console or a part of Xen.
RESERVED_GUESTS = frozenset({"xen", "dom0", "domain-0", "times", "all", "qemu"})

#: A threshold as a sentence: statistic and figure, or what is counted; task; limit.
_SENTENCE = re.compile(r"(?:(?:(min|mean|p50|p99|p999|max) )?([a-z][a-z_ ]*?)) of (\S+) < (\S+)")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_DAY = 86400.0


def size(text: str) -> int:
    """``16M`` → bytes."""
    match = re.fullmatch(r"([0-9]{1,12})([KMG])", text)
    if not match:
        raise ValueError(f"{quote(text)} is not a size; {_size_hint(text)}")
    return int(match[1]) * SIZES[match[2]]


def seconds(text: str) -> float:
    """``10s``, ``500ms``, ``500us``, ``2m`` → seconds; more than zero, at most a day."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(us|ms|s|m)", text)
    if not match:
        raise ValueError(f"{quote(text)} is not a time; {_time_hint(text)}")
    value = float(match[1]) * TIMES[match[2]]
    if not 0 < value <= _DAY:
        raise ValueError(f"{quote(text)} is out of range; a time is more than 0s and at most 1440m")
    return value


def count(low: int, high: int) -> Callable[[str], int]:
    """A reader of decimal numbers from ``low`` to ``high``."""

    def read(text: str) -> int:
        if not re.fullmatch(r"0|[1-9][0-9]{0,8}", text) or not low <= int(text) <= high:
            raise ValueError(f"{quote(text)} is not a number from {low} to {high}")
        return int(text)

    return read


def boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{quote(text)} is neither true nor false")
    return text == "true"


def one_of(*choices: str) -> Callable[[str], str]:
    """A reader of one of a few words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"unknown value {quote(text)}{nearest(text, choices)}")
        return text

    return read


def trace(text: str) -> int:
    """The size of a guest's trace in bytes. ``true`` means 1M.

    A size is a power of two, because the ring's indices wrap.
    """
    if text in ("true", "false"):
        return TRACE_SIZE if text == "true" else 0
    found = size(text)
    if found & (found - 1) or not LEAST_TRACE <= found <= MOST_TRACE:
        raise ValueError(f"{quote(text)} is none of 4K, 8K, 16K, … 32M")
    return found


def name(text: str) -> str:
    """A name of a lab, guest or hypervisor. It is also used as a file name, by QEMU and by xl."""
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"{quote(text)} is not a usable name; begin with a lower-case letter or digit; use "
            f"only lower-case letters, digits, - and _, at most 32{_name_hint(text)}"
        )
    return text


def guest_name(text: str) -> str:
    if name(text) in RESERVED_GUESTS:
        raise ValueError(f"'{text}' is reserved; give the guest another name")
    if text.endswith(VUART):
        raise ValueError(f"'{text}' would be the name of a UART's console; give it another name")
    return text


def printable(text: str) -> str:
    """Any text on one line: an expected text or a description."""
    if not text or len(text) > 1000 or not text.replace("\t", " ").isprintable():
        raise ValueError(f"{quote(text)} must be 1 to 1000 visible characters on one line")
    return text


def typed(text: str) -> str:
    """A text to type on a console; empty means only Enter."""
    return printable(text) if text else text


def file_name(text: str) -> str:
    """A file name in a run's folder: never hidden, and never a path out of the folder."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise ValueError(
            f"{quote(text)} is not a usable file name; begin with a letter or digit; use "
            "only letters, digits, ., - and _, at most 64"
        )
    return text


def ascii_line(text: str) -> str:
    """Arguments for Xen or a kernel: printable ASCII on one line."""
    if len(text) > 1000 or not (text.isascii() and (text.isprintable() or not text)):
        raise ValueError(f"{quote(text)} must be at most 1000 printable ASCII characters")
    return text


def argv(text: str) -> list[str]:
    """A command line as arguments, split by the shell's rules for quotes. No shell runs it."""
    return noshell.split(text)


def path(text: str) -> str:
    """A path as text; whether it exists is checked later."""
    if not text or len(text) > 1000 or not text.isprintable():
        raise ValueError(f"{quote(text)} is not a usable path")
    return text


def limit(value: Any) -> Any:
    """``p99 release jitter of control < 200us`` is short for the mapping."""
    if not isinstance(value, str):
        return value
    match = _SENTENCE.fullmatch(value.strip())
    if not match:
        words = "write 'p99 release jitter of TASK < 200us', 'misses of TASK < 1', or a mapping"
        raise ValueError(f"{quote(value)} is not a threshold; {words}")
    statistic, figure, task, limit = match.groups()
    guest, _, name = task.rpartition("/")
    found = {"task": name} | ({"guest": guest} if guest else {})
    if statistic is None:
        if not limit.isdecimal() or int(limit) < 1:
            raise ValueError(f"{quote(value)}: after < there must be a whole number, at least 1")
        return found | {figure: str(int(limit) - 1)}
    return found | {"figure": figure.replace(" ", "_"), statistic: limit}


def show_size(value: int) -> str:
    """Bytes in the units of labs.yaml: ``16M``."""
    for unit, factor in reversed(SIZES.items()):
        if value >= factor and value % factor == 0:
            return f"{value // factor}{unit}"
    return f"{value} bytes"


def _size_hint(text: str) -> str:
    """A hint for a wrong size. A bare number is in mebibytes, as in xl."""
    if re.fullmatch(r"0*[1-9][0-9]{0,8}", text):
        return f"write {text}M for mebibytes"
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*([kmgt])(?:i?b)?", text.strip().lower())
    value = round(float(match[1]) * (1 << " kmgt".index(match[2]) * 10)) if match else 0
    if re.fullmatch(r"0x[0-9a-fA-F]{1,10}", text):
        value = int(text, 16)
    if value and value % SIZES["K"] == 0:
        return f"write {show_size(value)}"
    return "write 512K, 16M or 1G"


def show_time(seconds: float) -> str:
    """Seconds in the units of labs.yaml: ``10ms``; the largest unit that gives a whole number."""
    found = round(seconds * 1e9)
    for unit, nanoseconds in (("s", 10**9), ("ms", 10**6)):
        if found % nanoseconds == 0:
            return f"{found // nanoseconds}{unit}"
    return f"{found / 1000:g}us"


#: Other names of the units of time.
_UNITS = {
    **dict.fromkeys(("ns", "nsec"), 1e-9), **dict.fromkeys(("us", "usec", "µs", "μs"), 1e-6),
    **dict.fromkeys(("ms", "msec", "millis"), 1e-3),
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
}  # fmt: skip


def _time_hint(text: str) -> str:
    """A hint for a wrong time, in the largest unit that gives a whole number."""
    match = re.fullmatch(r"([0-9]{0,9}(?:\.[0-9]{1,9})?)\s*([a-zµμ]*)", text.strip().lower())
    if match and match[1] and match[2] in _UNITS:
        value = float(match[1]) * _UNITS[match[2]]
        for unit in ("m", "s", "ms", "us"):
            number = f"{value / TIMES[unit]:.6f}".rstrip("0").rstrip(".")
            if "." not in number and number != "0" and (unit != "m" or match[2][:1] in ("m", "h")):
                return f"write {number}{unit}"
    return "write 10s, 500ms or 2m"


def _name_hint(text: str) -> str:
    better = re.sub(r"[^a-z0-9_-]+", "-", text[:32].lower()).strip("-_")
    return f"; '{better}' would do" if _NAME.fullmatch(better) else ""
