"""Suggests the name that a user probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, choices: Iterable[str]) -> str:
    """``; did you mean 'x'?`` if a choice is near, else the choices; ready to append."""
    known = sorted(choices)
    near = difflib.get_close_matches(word[:100].lower(), known, n=1)
    if near:
        return f"; did you mean '{near[0]}'?"
    shown = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    return f"; choose from: {shown}" if known else ""
