"""Whether a run that is executed again says what it had said."""

from __future__ import annotations

import itertools

from lab.api.moments import Moments
from lab.errors import MachineError
from lab.run import digest
from lab.rundir import RunDir
from lab.util import reading


def check(run: RunDir, old: RunDir, moments: Moments, after: float | None) -> None:
    """Compare what an execution has said so far with what the old run had said.

    dom0 may need a moment until it stops the machine. What was said since ``after`` (seconds since
    the guests began) may differ.

    Raises:
        MachineError: it said something else; the message has the first difference.
    """
    for name, log in run.consoles().items():
        told, before = (reading.data(one, reading.IMAGE) for one in (log, old.console(name)))
        line = first_difference(told, before)
        when = None if line is None else moments.time_of(name, line)
        if line is None or (after is not None and when is not None and when >= after):
            continue
        raise MachineError(
            f"the run is not the same this time: console/{name}.log differs in line {line + 1}",
            tail=str(digest.difference_from(run, old) or ""),
            hint="was labs.yaml, a guest or the toolchain changed since?",
        )


def first_difference(told: bytes, before: bytes) -> int | None:
    """The number of the first line that differs; the last one may be cut off.

    >>> first_difference(b"one\\ntw", b"one\\ntwo\\nthree")
    >>> first_difference(b"one\\nten", b"one\\ntwo\\nthree")
    1
    """
    if before.startswith(told):
        return None
    pairs = itertools.zip_longest(told.split(b"\n"), before.split(b"\n"))
    return next(number for number, (one, other) in enumerate(pairs) if one != other)
