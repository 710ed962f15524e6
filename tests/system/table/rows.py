"""A row of the fault table: a fault, how often it is injected, and the results.

``./inv test`` injects each fault ``ci`` times, ``./inv test.faults --full`` ``full`` times. Rows
whose ``ci`` is 0 have separate tests, which ``./inv test`` runs.
"""

from __future__ import annotations

import json
import os
import re
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from system.world import World

#: Says ``full`` if the table is to run at full size; and the folder for its results, a file of
#: JSON each, written anew after each time: who interrupts the table keeps what was counted.
SIZE, RESULTS = "LAB_FAULTS", "LAB_FAULT_RESULTS"
_HERE = str(Path(__file__).parent)
#: Of a failure's words so many characters are kept.
LONGEST_WORDS = 2000


def full() -> bool:
    """Whether the table runs at full size."""
    return os.environ.get(SIZE) == "full"


@dataclass(frozen=True)
class Row:
    """``inject`` injects the fault for the n-th time, and asserts what must hold.

    ``longest``: seconds that this may take on a busy machine. ``alone``: it measures time, so no
    other test may run meanwhile.
    """

    name: str
    ci: int
    full: int
    inject: Callable[[World, int], None]
    longest: float = 120.0
    alone: bool = False

    @property
    def times(self) -> int:
        return self.full if full() else self.ci


@dataclass
class Count:
    """The results of a row. ``failed``: the text of each failure. ``seconds``: the time of all
    injections."""

    row: str
    wanted: int
    done: int = 0
    held: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: str = ""
    seconds: float = 0.0


def injected(row: Row, world: World) -> Count:
    """Inject a fault as often as required. After a failure, clean up and continue."""
    count, began = Count(row.name, row.times), time.monotonic()
    for number in range(row.times):
        try:
            row.inject(world, number)
            held = not (left := world.left())
            words = "" if held else f"left behind: {', '.join(left)}"
        except pytest.skip.Exception as skip:
            count.skipped = str(skip)
            break
        except (Exception, pytest.fail.Exception) as error:
            held, words = False, _words(error)
        count.done += 1
        count.held += held
        count.seconds = time.monotonic() - began
        if not held:
            count.failed.append(f"time {number}: {words}")
            if world.left():
                world.clear()
        keep(count)
    keep(count)
    return count


def keep(count: Count) -> None:
    """Write the counts so far, if somebody wants them."""
    if folder := os.environ.get(RESULTS):
        name = re.sub(r"\W+", "-", count.row)
        Path(folder, f"{name}.json").write_text(json.dumps(asdict(count)))


def _words(error: BaseException) -> str:
    """What failed, and at which line of our code."""
    frames = traceback.extract_tb(error.__traceback__)
    where = next((one for one in reversed(frames) if one.filename.startswith(_HERE)), frames[-1])
    what = str(error) or where.line or ""
    return f"{Path(where.filename).name}:{where.lineno}: {what[:LONGEST_WORDS]}"
