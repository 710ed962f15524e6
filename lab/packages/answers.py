"""Remembers in the cache which package files answered a question.

``<cache>/apt/resolutions/`` has one JSON file for each question, named by the question's sha256.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.packages.lock import Pin
from lab.util import files, reading, used


@dataclass(frozen=True)
class Resolution:
    """The answer to a question: exactly these files of a suite.

    For source packages ``arch`` is ``source``, and the pins are the ``.dsc`` file and the tarballs.
    """

    suite: str
    arch: str
    pins: tuple[Pin, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Resolution:
        return Resolution(data["suite"], data["arch"], tuple(Pin(**pin) for pin in data["pins"]))


def recall(cache: Path, question: Mapping[str, Any]) -> Resolution | None:
    """The remembered answer to a question, or ``None``."""
    try:
        found = Resolution.from_json(reading.json_file(_answer(cache, question))["answer"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    used.note(_answer(cache, question))
    return found


def remember(cache: Path, question: Mapping[str, Any], answer: Resolution) -> Resolution:
    """Remember the answer to a question, and return the answer."""
    text = json.dumps({"question": question, "answer": answer.to_json()}, indent=1)
    files.write_atomic(_answer(cache, question), text)
    return answer


def forget(cache: Path, question: Mapping[str, Any]) -> None:
    """Remove the remembered answer to a question, if there is one."""
    _answer(cache, question).unlink(missing_ok=True)


def _answer(cache: Path, question: Mapping[str, Any]) -> Path:
    return cache / "apt" / "resolutions" / f"{files.sha256_json(question)}.json"
