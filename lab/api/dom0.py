"""Commands in the dom0 of a lab that runs."""

from __future__ import annotations

import shlex

from lab.api.context import Context, attached
from lab.api.other_sessions import running
from lab.dom0.agent import ProgramResult
from lab.errors import UsageError
from lab.util import signals


def execute(context: Context, name: str, line: str, within: float = 60.0) -> ProgramResult:
    """Run a command in dom0. It is split into words as a shell splits it, but no shell runs.

    ``within``: seconds that it has, the wait for its turn included.

    Raises:
        UsageError: it is empty, or dom0 has no such program, or the lab does not run.
        Dom0Error: it did not end in time, or dom0 does not answer.
    """
    try:
        argv = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"the command cannot be split into words: {error}") from error
    if not argv:
        raise UsageError("the command is empty", hint='for example: lab.exec hello "xl list"')
    found = running(context, name)

    async def go() -> ProgramResult:
        async with attached(found) as session:
            return await session.execute(argv, within)

    return signals.run(go())
