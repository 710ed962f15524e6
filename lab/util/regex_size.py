"""How large a regular expression becomes when it is compiled, known before it is.

A counted repetition is compiled as so many copies: ``a{1000000000}`` takes all memory, and
nothing can interrupt it. What stands in the text is counted here, as often as it is repeated at
least; no more is understood of it, and too much rather than too little.
"""

from __future__ import annotations

import re

#: Characters that an expression may have, and what it may become.
LONGEST, LARGEST = 10_000, 50_000

#: A character that is escaped, a class of characters, a count, or any other character.
_TOKEN = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\s*(?P<least>[\d\s]*)(?:,[\d\s]*)?\}|.", re.DOTALL
)


def too_large(text: str) -> str:
    """Why an expression may not be compiled, in words; empty if it may."""
    if len(text) > LONGEST:
        return f"it has more than {LONGEST} characters"
    if size(text) > LARGEST:
        return f"written out, its repetitions have more than {LARGEST} characters"
    return ""


def size(text: str) -> int:
    """How many pieces are compiled at least; :data:`LARGEST` and one if there are more."""
    groups = [0]  # the sizes of the groups that are open
    last = 0  # that of what a count is about
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
