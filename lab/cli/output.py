"""What commands print: JSON for programs, words for people, errors."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.util import ci
from lab.util.resources import as_called

#: Exit status of a command whose reader went away, as shells count the signal SIGPIPE.
NOBODY_READS = 128 + 13


def nobody_reads() -> int:
    """The exit status if nobody reads our output any more, as with ``head``.

    Python would complain when it flushes at exit, so the rest of the output is thrown away.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return NOBODY_READS


def fail(error: LabError, *, as_json: bool = False) -> int:
    """Print an error; returns its exit status."""
    if as_json:
        layer = error.layer.value if error.layer else None
        print_json({"verdict": "error", "layer": layer, "reason": error.message,
                    "hint": as_called(error.hint), "tail": error.tail.splitlines()})  # fmt: skip
    words = f"error{f' [{error.layer}]' if error.layer else ''}: {error}"
    say(ci.shown(words))
    for line in ci.errors_of(error.message) if ci.in_github() else ():
        print(line, file=sys.stderr)
    return int(error.exit_status)


def print_json(value: Any) -> None:
    """Results for programs: one JSON value on standard output."""
    print(json.dumps(value, indent=1, default=plain), flush=True)


def plain(value: Any) -> Any:
    """Dataclasses, paths and enums as JSON knows them."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    return list(value)


def say(text: str = "") -> None:
    """Words for people, on standard error."""
    print(as_called(text), file=sys.stderr)
