"""Lends our terminal to a program that a person works with, such as GDB."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
from collections.abc import Iterator
from typing import Protocol

from lab.util.holding import held_back

STDIN = 0
#: The signals that end us and the program. Ctrl-C is for the program alone.
ENDING = (signal.SIGTERM, signal.SIGHUP)
#: Seconds that a program and all that it started may take to end after it was asked to.
LAST_SECONDS = 5.0


class Endable(Protocol):
    """A program that we started."""

    def terminate(self) -> None: ...

    def kill(self) -> None: ...

    def wait(self) -> int: ...


@contextlib.contextmanager
def lent() -> Iterator[None]:
    """Leave Ctrl-C to a program that is started in the block. Other signals that ask us to stop
    still do. Afterwards the terminal is as it was, however the program ended.
    """
    with _kept(), _without_ctrl_c():
        yield


class Lifeline:
    """A pipe that each process of a program holds. It closes when the last one has ended.

    A sandbox ends before the program in it, and what still runs there may change the terminal after
    we have set it back.
    """

    def __init__(self) -> None:
        self._ours, self.theirs = os.pipe()  #: ``theirs``: the program must inherit it

    def end(self, child: Endable) -> None:
        """End the program, and wait until all of its processes have ended, at most
        :data:`LAST_SECONDS`."""
        with held_back():
            child.terminate()
            os.close(self.theirs)
            if not select.select([self._ours], [], [], LAST_SECONDS)[0]:
                child.kill()
            os.close(self._ours)
            child.wait()


@contextlib.contextmanager
def ctrl_c_later() -> Iterator[None]:
    """A program that is started in the block gets no Ctrl-C until it unblocks SIGINT, and then the
    one that came meanwhile: programs that have just started are not prepared for it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    ctrl_c = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: a sandbox ignores it, too
    others = {each: signal.getsignal(each) for each in ENDING}

    def end(*_: object) -> None:
        signal.signal(signal.SIGINT, ctrl_c)  # all of them become SIGINT (lab.util.signals)
        signal.raise_signal(signal.SIGINT)

    for each in ENDING:
        if others[each] is not signal.SIG_IGN:
            signal.signal(each, end)
    try:
        yield
    finally:
        for each, handler in others.items():
            signal.signal(each, handler)
        signal.signal(signal.SIGINT, ctrl_c)


@contextlib.contextmanager
def _kept() -> Iterator[None]:
    """Keep a terminal's settings: a program that is killed leaves it without echo."""
    try:
        before = termios.tcgetattr(STDIN)
    except termios.error:  # it is no terminal
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError, termios.error):  # it may be gone
            # In the background the system would stop us, and another program has the terminal.
            if os.tcgetpgrp(STDIN) == os.getpgrp():
                termios.tcsetattr(STDIN, termios.TCSADRAIN, before)
