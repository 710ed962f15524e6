"""Places in labs.yaml, and what is wrong with the files that are named there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, order=True)
class Place:
    """A place in a file; line and column are counted from 1."""

    file: Path
    line: int = 1
    column: int = 1


@dataclass(frozen=True, order=True)
class Refusal:
    """Why a guest cannot be started although labs.yaml is valid, and the place in labs.yaml."""

    place: Place
    text: str
