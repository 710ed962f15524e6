"""The error for guests that are refused, with their places in labs.yaml."""

from __future__ import annotations

import os
from collections.abc import Iterable

from lab.errors import ConfigError
from lab.model import Place, Refusal
from lab.util.terminal import escape


def shown(place: Place) -> str:
    """``labs.yaml:3:14``; the path is relative if that is shorter."""
    path = str(place.file)
    try:
        relative = os.path.relpath(path)
    except OSError:  # the current folder was removed
        relative = path
    return f"{escape(min(path, relative, key=len))}:{place.line}:{place.column}"


def refusal(refused: Iterable[Refusal]) -> ConfigError:
    """The error that says why, one line for each, in the file's order."""
    lines = dict.fromkeys(f"{shown(one.place)}: {one.text}" for one in sorted(refused))
    return ConfigError("\n".join(lines))
