"""Signals that ask a command to stop: one way in, and moments in which they must wait.

A person's Ctrl-C, a supervisor's SIGTERM and a closed terminal's SIGHUP all become SIGINT,
which Python and asyncio turn into an orderly end: ``KeyboardInterrupt``, or the main task's
cancellation while an event loop runs.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

#: What asks us to stop.
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def one_way_to_stop() -> None:
    """Have every one of them end the command in order.

    A shell starts background jobs with SIGINT ignored; SIGTERM must stop those as well, so
    the handler of SIGINT is always set. SIGHUP stays ignored where nohup(1) wants it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _interrupt)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """They wait until the block is done: for cleaning up, which must be bounded in time.

    Their handlers are swapped rather than masked: a mask holds for one thread, and the system
    may hand the signal to another.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python runs signal handlers in the main thread alone
        return
    came: list[int] = []
    before = {each: signal.signal(each, lambda number, _: came.append(number)) for each in STOPPING}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        if came:
            signal.raise_signal(came[0])


def _interrupt(*_: object) -> None:
    signal.raise_signal(signal.SIGINT)
