"""What the runs of one command have in common: it is read or made once.

So all of them are made of the same things, even if somebody changes a file meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lab.model import Labs, Plan
from lab.util import files

if TYPE_CHECKING:
    from lab.workshop.prepare import Prepared


class Shared:
    """What runs of one labs.yaml have in common. Several threads may use it at the same time."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._labs: Labs | None = None
        self._prepared: dict[str, list[tuple[Plan, Prepared]]] = {}
        self._turns: dict[str, threading.Lock] = {}

    def labs(self, file: Path, load: Callable[[Path], Labs]) -> Labs:
        """The labs of the file, as they were when it was read first.

        Raises:
            ConfigError: of ``load``.
        """
        with self._guard:
            if self._labs is None:
                self._labs = load(file)
            return self._labs

    def prepared(self, plan: Plan, prepare: Callable[[], Prepared]) -> Prepared:
        """What a plan needs; ``prepare`` makes it if no run before had it. Runs that need the same
        wait for the first of them.

        Raises:
            LabError: of ``prepare``.
        """
        plan = replace(plan, seed=None, disturbances=())  # they are carried out later
        name = plan.lab.name
        with self._guard:
            turn = self._turns.setdefault(name, threading.Lock())
        with turn:
            known = self._prepared.setdefault(name, [])
            for one, found in known:
                if one == plan and _is_there(found):
                    return found
            made = prepare()
            known[:] = [*(pair for pair in known if pair[0] != plan), (plan, made)]
            return made


def _is_there(prepared: Prepared) -> bool:
    """Whether all files are still there with their bytes."""
    guests = [image for guest in prepared.guests.values() for image in guest.parts().values()]
    try:
        return all(files.sha256_file(one.path) == one.sha256
                   for one in (*prepared.images.parts().values(), *guests))  # fmt: skip
    except OSError:
        return False
