"""YAML that keeps its lines: a part of labs.yaml is written so that each text stays on its line.

So messages about the part name the lines of the file that the user wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import yaml


class PlacedText(str):
    """A scalar. ``line``: where it begins, counted from 0."""

    line = 0


class _Loader(yaml.BaseLoader):
    def construct_scalar(self, node: Any) -> PlacedText:
        text = PlacedText(super().construct_scalar(node))
        text.line = node.start_mark.line
        return text


def load(data: bytes) -> Any:
    """The data of a YAML text. Each scalar is a :class:`PlacedText`."""
    return yaml.load(data, _Loader)


def dump(data: Any) -> str:
    """The data as YAML text. Each :class:`PlacedText` is on its line, or below if that is taken."""
    writer = _Writer()
    writer.write(data)
    return "".join(writer.pieces) + "\n"


class _Writer:
    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._line = 0

    def write(self, data: Any) -> None:
        if isinstance(data, dict):
            self._down_to(next(iter(data), ""))  # a mapping is where its first key is
            self._several("{", data, "}", data)
        elif isinstance(data, list):
            self._several("[", data, "]", None)
        else:
            self._text(data)

    def _several(self, begin: str, items: Iterable[Any], end: str, of: Any) -> None:
        self.pieces.append(begin)
        for number, one in enumerate(items):
            self.pieces.append(", " if number else "")
            self.write(one)
            if of is not None:
                self.pieces.append(": ")
                self.write(of[one])
        self.pieces.append(end)

    def _text(self, text: str) -> None:
        self._down_to(text)
        self.pieces.append(json.dumps(text))

    def _down_to(self, text: str) -> None:
        down = max(0, getattr(text, "line", 0) - self._line)
        self.pieces.append("\n" * down)
        self._line += down
