"""Estimates how large a regular expression becomes when it is compiled.

A counted repetition is compiled as that many copies: ``a{1000000000}`` takes all memory, and
nothing can interrupt it. The estimate counts the pieces of the text, each as often as it is
repeated at least. It understands nothing else of the expression, and is too high rather than too
low.
"""

from __future__ import annotations

import re

#: The most characters of an expression, and the most pieces that it may become.
LONGEST, LARGEST = 10_000, 50_000

#: An escaped character, a character class, a count, or any other character.
_TOKEN = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\s*(?P<least>[\d\s]*)(?:,[\d\s]*)?\}|.", re.DOTALL
)


def too_large(text: str) -> str:
    """Why an expression is too large, in words; empty if it is not."""
    if len(text) > LONGEST:
        return f"it has more than {LONGEST} characters"
    if size(text) > LARGEST:
        return f"written out, its repetitions have more than {LARGEST} characters"
    return ""


def size(text: str) -> int:
    """The number of pieces that are compiled at least, and at most :data:`LARGEST` + 1."""
    groups = [0]  # the sizes of the open groups
    last = 0  # the size of the piece that a count would repeat
    for token in _TOKEN.finditer(text):
        if token[0] == "(":
            groups.append(0)
            last = 0
        elif token[0] == ")" and len(groups) > 1:
            last = groups.pop() + 1
            groups[-1] += last
        elif token["least"] is not None:
            times = int("".join(token["least"].split())[:12] or "0")
            groups[-1] += last * max(times - 1, 0)
            last *= max(times, 1)
        else:
            last = 1
            groups[-1] += 1
        if max(groups[-1], last) > LARGEST:
            return LARGEST + 1
    return sum(groups)
