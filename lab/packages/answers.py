"""Which files answered a question about packages: remembered in the cache.

``<cache>/apt/resolutions/`` has one JSON file for each question, named after it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.packages.lock import Pin
from lab.util import files, reading


@dataclass(frozen=True)
class Resolution:
    """Exactly these files of a suite.

    ``arch`` is ``source`` for source packages, whose pins are their ``.dsc`` and tarballs.
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
    """What was remembered for a question, if anything."""
    try:
        return Resolution.from_json(reading.json_file(_answer(cache, question))["answer"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(cache: Path, question: Mapping[str, Any], answer: Resolution) -> Resolution:
    """Keep an answer for a question; returns it."""
    text = json.dumps({"question": question, "answer": answer.to_json()}, indent=1)
    files.write_atomic(_answer(cache, question), text)
    return answer


def forget(cache: Path, question: Mapping[str, Any]) -> None:
    """Remember nothing for a question."""
    _answer(cache, question).unlink(missing_ok=True)


def _answer(cache: Path, question: Mapping[str, Any]) -> Path:
    return cache / "apt" / "resolutions" / f"{files.sha256_json(question)}.json"
