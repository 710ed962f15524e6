"""The task lab.debug."""

from __future__ import annotations

from pathlib import Path

from lab import api
from lab.cli.command import command
from lab.cli.lab_task import DOOR, LABS, RUN
from lab.cli.labs import context_of
from lab.errors import UsageError


@command("lab.debug", words=("name",), example="lab.debug hello --on hello",
         name="name of a running lab; with a moment: a run, as in trace.stats", labs=LABS,
         at="execute a run again to this time, such as 2.5s",
         before="execute a run again to where a console is about to print this text",
         before_event="execute a run again to where a guest's trace has a record, such as "
                      "'job 17 of fast begins'",
         before_failure="execute a run that failed again to where it fails", door=DOOR,
         branch="keep what is executed as a run of its own, which goes on when GDB leaves",
         confined="GDB sees only this lab, and has limits, as on the page of a workshop",
         on="where breakpoints count: a guest, dom0, xen or everywhere (default: the first guest)",
         command="a file with commands for GDB", batch="leave when the commands are done",
         mi="speak GDB's machine interface on standard input and output",
         serve="wait for an editor's GDB until Ctrl-C (docs/debugging.md)")  # fmt: skip
def lab_debug(name: str, labs: str = "labs.yaml", door: str = "", on: str = "",
              command: str = "", batch: bool = False, mi: bool = False, serve: bool = False,
              at: str = "", before: str = "", before_event: str = "",
              before_failure: bool = False, branch: bool = False,
              confined: bool = False) -> int:  # fmt: skip
    """Open GDB in a running lab, or in a run.

    The machine stands still until GDB continues it. When GDB leaves, the lab goes on.
    """
    file = Path(command) if command else None
    options = api.DebugOptions(on, file, batch, mi, serve, branch=branch, confined=confined)
    moment = api.Moment(at, before, before_failure, before_event)
    if moment:
        return api.travel(context_of(labs, door), name, moment, options)
    if branch:
        raise UsageError("--branch needs a moment of a run", hint="such as: --at 2.5s")
    return api.debug(context_of(labs, door), name, options)


@command("lab.core", words=("run",), optional=("run",), example="lab.core latest",
         run=RUN, labs=LABS, door=DOOR, on="what crashed: a guest or xen (default: what did)",
         command="a file with commands for GDB", batch="leave when the commands are done",
         mi="speak GDB's machine interface on standard input and output")  # fmt: skip
def lab_core(run: str, labs: str = "labs.yaml", door: str = "", on: str = "", command: str = "",
             batch: bool = False, mi: bool = False) -> int:  # fmt: skip
    """Open GDB on the core file of a crash.

    It has the guest's memory and its tasks at that moment, and needs no machine.
    """
    options = api.DebugOptions("", Path(command) if command else None, batch, mi)
    return api.open_core(context_of(labs, door), run or "latest", on, options)
