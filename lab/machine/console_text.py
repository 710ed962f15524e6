"""A run's consoles as text for people. Every line is escaped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path

from lab.machine.console import Follower
from lab.machine.crash_symbols import explainer
from lab.machine.log_lines import LogReader
from lab.machine.merged_consoles import merge
from lab.model import Program
from lab.rundir import RunDir
from lab.util import signals, waiting
from lab.util.deadline import Deadline
from lab.util.terminal import escape

#: Seconds to wait for a guest's first line; a silent guest is no error.
FIRST_LINES = 5.0
#: Seconds to wait for a few more lines after the first one.
MORE_LINES = 0.2
#: How many of a guest's first lines are shown.
SHOWN = 6


def lines_of(log: Path) -> Iterator[str]:
    """The lines of one console."""
    reader = LogReader(log.stem, log)
    explain = explainer(log)
    try:
        while lines := reader.read():
            for line in lines:
                yield explain(escape(line.raw))
        if reader.partial:
            yield explain(escape(reader.partial.raw))
    finally:
        reader.close()


def merged(files: Mapping[str, Path], times: Path) -> Iterator[str]:
    """The lines of all consoles, in order of time."""
    width = max((len(name) for name in files), default=0)
    explain = {name: explainer(path) for name, path in files.items()}
    for entry in merge(files, times):
        yield entry.show(width, explain[entry.line.console])


def follow(files: Mapping[str, Path], program: Program | None) -> Iterator[str]:
    """The lines that are there and those that come, until the machine ``program`` ends.

    Without ``program``, only the lines that are there.
    """
    width = max((len(name) for name in files), default=0)
    lines = _follow(files, program)

    async def next_one() -> tuple[str, str] | None:
        return await anext(lines, None)

    with asyncio.Runner() as runner:
        while found := signals.run_in(runner, next_one()):
            name, text = found
            yield text if len(files) == 1 else f"{name:<{width}} | {text}"
        runner.run(lines.aclose())


async def first_lines(
    run: RunDir, starts: Mapping[str, int], within: float, least: int = 1
) -> dict[str, str]:
    """The first lines of guests' consoles from an offset (bytes) on, escaped.

    Waits until every guest has printed ``least`` lines, at most ``within`` seconds.
    """
    found: dict[str, list[str]] = {name: [] for name in starts}
    deadline = Deadline(within)
    with Follower({name: run.console(name) for name in starts}, starts) as follower:
        while min(map(len, found.values()), default=least) < least and not deadline.passed():
            for line in await follower.lines(deadline):
                if line.raw:
                    found[line.console].append(escape(line.raw))
    return {name: "\n".join(lines[:SHOWN]) for name, lines in found.items()}


async def _follow(
    files: Mapping[str, Path], program: Program | None
) -> AsyncGenerator[tuple[str, str], None]:
    ended = waiting.end_of(program) if program else asyncio.Event()
    if program is None:
        ended.set()
    explain = {name: explainer(path) for name, path in files.items()}
    with Follower(files) as follower:
        while True:
            stopped = ended.is_set()
            lines = follower.read()
            for line in lines:
                yield line.console, explain[line.console](escape(line.raw))
            if stopped and not lines:
                return
            if not lines:
                await follower.change(waiting.FOREVER, ended)
