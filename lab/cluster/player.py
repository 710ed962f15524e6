"""A process that runs labs for a worker, one after another.

It is told the folder of a run through a pipe, and answers through another. It ends by itself, and
its lab with it, when the worker's end of the first pipe is closed: also if the worker was killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import IO

from lab.util import process
from lab.util.proc import end_group

#: Seconds that a process has to end its lab when it is told to.
PATIENCE = 60.0
#: The variables of the worker's environment that it gets, by how their names begin.
PASSED_ON = ("LAB_", "XDG_RUNTIME_DIR", "PYTHON", "DOCKER_")
#: The module that it runs.
PROGRAM = "lab.api.played"


def environment() -> dict[str, str]:
    """What a process of ours gets of this one's environment."""
    return {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}


class Player:
    """The process. ``log``: takes what it says for people."""

    def __init__(self, log: IO[bytes]) -> None:
        orders, ours = os.pipe()
        answers, theirs = os.pipe()
        argv = [sys.executable, "-m", PROGRAM, str(orders), str(theirs)]
        try:
            self._child = process.spawn(
                argv, log_to=log, env=environment(), keep_fds=(orders, theirs)
            )
        except BaseException:
            os.close(ours)
            os.close(answers)
            raise
        finally:
            os.close(orders)
            os.close(theirs)
        self._orders = os.fdopen(ours, "w", encoding="utf-8")
        self._answers = os.fdopen(answers, encoding="utf-8")

    @property
    def pid(self) -> int:
        return self._child.pid

    def play(self, folder: Path) -> bool:
        """Run what is in the folder. ``False``: the process ended before it answered."""
        try:
            self._orders.write(f"{folder}\n")
            self._orders.flush()
            return self._answers.readline() == "done\n"
        except (OSError, ValueError):  # it has ended, or is being closed
            return False

    def interrupt(self) -> None:
        """Tell it to end its lab and itself."""
        with contextlib.suppress(ProcessLookupError):
            self._child.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """End it, and wait until it has ended."""
        self.interrupt()
        with contextlib.suppress(OSError):
            self._orders.close()
        if process.reap(self._child, PATIENCE) is None:
            end_group(self._child.pid)
            process.reap(self._child, PATIENCE)
        self._answers.close()
