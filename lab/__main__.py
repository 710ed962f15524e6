"""The tasks as a program of their own: ``xenlab lab.up``, wherever the package is installed."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import signal
import sys
from typing import NoReturn

#: The exit status of a command that was interrupted, as in :mod:`lab.cli.command`.
INTERRUPTED = 128 + 2
#: The number of new objects after which the garbage collector runs (gc.set_threshold).
MANY_OBJECTS = 100_000


def main() -> NoReturn:
    """Run the task that the command line names; ends the process."""
    # Before a task begins there is nothing to undo: Ctrl-C ends us without Python's traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Loaded code is never garbage. By default the collector goes through it again and again while
    # more is loaded, and once more at the end, which takes a third of a short command's time.
    gc.set_threshold(MANY_OBJECTS)
    try:
        _run()
    finally:
        gc.freeze()
    sys.exit(0)


def _run() -> None:
    # Each is imported when needed: a shell that completes a word does not wait for all of us.
    if sys.argv[1:2] == ["--complete"]:
        from lab.cli import completion_answers

        completion_answers.main(sys.argv[2:])
        return
    from lab.cli import program

    if sys.argv[1:2] == ["--forks"]:
        from lab.cli import forks

        forks.main()  # returns in a command's own process
    program.main()


def _as_module() -> None:
    """The same for ``python -m lab``.

    If an interrupt comes while Python executes code from a string, as some imports do, it sends
    itself SIGINT when everything is over, whatever the exit status is (exit_sigint, Modules/main.c
    of CPython). So that the status stays ours, this ends the process before.
    """
    try:
        main()
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(INTERRUPTED)


if __name__ == "__main__":
    _as_module()
