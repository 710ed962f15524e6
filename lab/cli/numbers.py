"""Numbers, lists and ranges of them in options."""

from __future__ import annotations

import re

from lab.errors import UsageError
from lab.util.terminal import quote

#: The largest number that an option takes, and the most numbers in a range.
LARGEST, MOST = 999_999_999, 100_000


def whole_number(option: str, text: str) -> int:
    """``17``.

    Raises:
        UsageError: it is no number, or too large.
    """
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise UsageError(f"{option} needs a whole number from 0 to {LARGEST}, not {quote(text)}")
    return int(text)


def numbers(option: str, text: str) -> tuple[int, ...]:
    """``2,5`` → 2 and 5; ``none``: no number at all.

    Raises:
        UsageError: something between the commas is no number.
    """
    return () if text == "none" else tuple(whole_number(option, one) for one in text.split(","))


def span(option: str, text: str) -> range:
    """``200``: from 1 to 200; ``41-60``: from 41 to 60.

    Raises:
        UsageError: it is neither; there is no number in it, or too many are.
    """
    if not re.fullmatch(r"[0-9]+(-[0-9]+)?", text):
        raise UsageError(f"{option} needs 200, or 41-60, not {quote(text)}")
    first, dash, last = text.partition("-")
    found = range(whole_number(option, first) if dash else 1,
                  whole_number(option, last if dash else first) + 1)  # fmt: skip
    if not found:
        raise UsageError(f"{option} {text}: there is no seed in it", hint="write 200, or 41-60")
    if len(found) > MOST:
        raise UsageError(f"{option} {text}: that is {len(found)}, and {MOST} is the most")
    return found
