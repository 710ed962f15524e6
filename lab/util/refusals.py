"""Why guests are refused, with the places in labs.yaml, for people."""

from __future__ import annotations

import os
from collections.abc import Iterable

from lab.errors import ConfigError
from lab.model import Place, Refusal
from lab.util.terminal import escape


def shown(place: Place) -> str:
    """``labs.yaml:3:14``; the file as it is shortest from here."""
    path = str(place.file)
    try:
        relative = os.path.relpath(path)
    except OSError:  # the folder that we are in is gone
        relative = path
    return f"{escape(min(path, relative, key=len))}:{place.line}:{place.column}"


def refusal(refused: Iterable[Refusal]) -> ConfigError:
    """The error that says so, a line for each, in the file's order."""
    lines = dict.fromkeys(f"{shown(one.place)}: {one.text}" for one in sorted(refused))
    return ConfigError("\n".join(lines))
