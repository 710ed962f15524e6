"""A scenario under the virtual clock: judged at moments of virtual time, with the machine still.

The machine runs from one such moment to the next and stands still while its logs are read.
Which moments these are, and at which of them the run ends, follows from the run itself; so
how fast the host is, and when it looks, changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lab.errors import MachineError
from lab.machine.lines import LogReader
from lab.machine.merge import find_zeros, merge
from lab.model import Lab
from lab.rundir import RunDir
from lab.scenario import Judge, Report, Result, judge_verdict, pattern
from lab.session import Session

#: The machine is stopped after 0.05, 0.11, 0.19, … virtual seconds: often at first.
FIRST, GROWTH = 0.05, 1.25
#: Seconds of the host that one such stretch may take: a busy machine of three CPUs is slow.
PATIENCE = 600.0


async def watch(session: Session, lab: Lab) -> Report:
    """Let the guests run until the lab's expectations are decided. All times are virtual."""
    steps = session.steps
    if steps is None:
        raise MachineError("the machine does not stand still, as it must under the virtual clock")
    files = session.run.consoles()
    readers = [LogReader(name, path) for name, path in files.items()]
    judge, start, at = Judge(lab.expect), steps.now, 0.0
    try:
        while True:
            for reader in readers:
                _show(judge, reader, at)
            if judge.failure or judge.all_seen or judge.overdue(at):
                break
            until = min(at * GROWTH + FIRST, judge.next_deadline or 0.0)
            await steps.sleep_until(start + until, PATIENCE)
            at = until
    finally:
        for reader in readers:
            reader.close()
    verdict = judge_verdict(judge, at, files)
    results = tuple(_dated(session.run, judge.results(), start))
    return Report(lab.name, verdict, results, at)


def _show(judge: Judge, reader: LogReader, at: float) -> None:
    while found := reader.read():
        for line in found:
            judge.see(line, at)
    if reader.partial:
        judge.see(reader.partial, at)


def _dated(run: RunDir, results: Sequence[Result], start: float) -> Iterator[Result]:
    """When exactly each was seen, as the lines' own stamps say (0: before the guests ran)."""
    start += find_zeros(run.console("xen")).counter
    open_ = {i: pattern(one.expectation) for i, one in enumerate(results) if one.seen is not None}
    found: dict[int, float] = {}
    for entry in merge(run.consoles(), run.times_file):
        for i in [i for i in open_ if i not in found]:
            on = results[i].expectation.on == entry.line.console
            if on and entry.time is not None and open_[i].search(entry.line.text):
                found[i] = max(0.0, round(entry.time - start, 6))
    for i, one in enumerate(results):
        yield replace(one, seen=found.get(i, one.seen))
