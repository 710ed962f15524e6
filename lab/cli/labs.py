"""Tasks on labs: up, down, status, logs, exec, inject, console."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from pathlib import Path

from lab import api
from lab.cli import optional
from lab.cli.cluster import chosen
from lab.cli.command import command, leaves, refuse_together
from lab.cli.lab_task import (
    ARCH,
    CLUSTER,
    COLD,
    DOOR,
    FORCE,
    JOBS,
    JSON,
    LAB,
    LAB_OR_HELLO,
    LABS,
    LOCKED,
)
from lab.cli.output import print_json, say
from lab.cli.results import (
    kind_word,
    show_compared,
    show_injected,
    show_several,
    show_statuses,
    show_stood,
    show_stopped,
    show_up,
    state_word,
)
from lab.errors import ToolchainError
from lab.progress import Progress
from lab.util import ci
from lab.util.environment import switched_on
from lab.util.terminal import table

DEFAULT = "hello"


def context_of(
    labs: str, door: str = "", force: bool = False, locked: bool = False, arch: str = ""
) -> api.Context:
    """The context that the common options describe.

    Raises:
        UsageError: there is no such architecture.
    """
    return api.Context(Path(labs), door or None, Progress(), force, locked, api.architecture(arch))


def is_cold(option: bool) -> bool:
    """Whether to boot even if there is a template; ``LAB_COLD=1`` says so for all commands."""
    return option or switched_on("LAB_COLD")


@command("lab.up", words=("name",), optional=("name",), example="lab.up hello",
         name=LAB_OR_HELLO, labs=LABS, door=DOOR, json=JSON, force=FORCE, locked=LOCKED, cold=COLD,
         arch=ARCH,
         count="start N copies of the lab, named NAME-1 to NAME-N",
         pause_on_failure="stay until a guest or Xen crashes, and let the machine stand there",
         plan="print the plan as JSON and start nothing")  # fmt: skip
def lab_up(name: str, labs: str = "labs.yaml", door: str = "", plan: bool = False,
           json: bool = False, force: bool = False, locked: bool = False, cold: bool = False,
           count: int = 0, arch: str = "",
           pause_on_failure: bool = False) -> int:  # fmt: skip
    """Start a lab and its guests.

    It builds what is missing. Then it restores the lab from its template, or boots it if it has
    none. It returns when the guests run. The lab runs until lab.down.
    """
    context = context_of(labs, door, force, locked, arch)
    if pause_on_failure:
        refuse_together("--pause-on-failure", {"--count": count, "--json": json, "--plan": plan})
    if plan:
        print(api.plan_json(context, name or DEFAULT), end="")
        return 0
    if count:
        several = api.up_several(context, name or DEFAULT, count, cold=is_cold(cold))
        with leaves(f"the labs are up; stop them: ./inv lab.down '{name or DEFAULT}-*'"):
            print_json(several) if json else show_several(several)
        return 0
    result = api.up(context, name or DEFAULT, cold=is_cold(cold))
    with leaves(f"lab {result.name} is up; stop it: ./inv lab.down {result.name}"):
        print_json(result) if json else show_up(result)
        return _watched(context, result) if pause_on_failure else 0


def _watched(context: api.Context, result: api.Up) -> int:
    """Stay until something crashes; the exit status is that of its layer."""
    say("waiting for a guest or Xen to crash; Ctrl-C ends this, and the lab goes on")
    stood = api.until_it_stands(context, result)
    if not stood.why:
        say(f"lab {result.name} was stopped")
        return 0
    show_stood(result.name, stood)
    return int(stood.exit_status)


@command("lab.down", words=("name",), optional=("name",), example="lab.down hello",
         name=f"{LAB_OR_HELLO}; a pattern such as 'hello-*' stops all that match",
         labs=LABS, json=JSON,
         all="all labs of this labs.yaml in this session",
         everywhere="all your labs, also those of other labs.yaml files and sessions")  # fmt: skip
def lab_down(name: str, labs: str = "labs.yaml", all: bool = False, everywhere: bool = False,
             json: bool = False) -> None:  # fmt: skip
    """Stop one lab or several. Their run folders stay."""
    context = context_of(labs)
    if all or everywhere:
        stopped = api.down_all(context, everywhere=everywhere)
    elif api.is_pattern(name):
        stopped = api.down_matching(context, name)
    else:
        stopped = api.down_lives(context, name or DEFAULT)
    if json:
        print_json(stopped)
        return
    show_stopped(stopped)
    if stopped:
        return
    if all or everywhere:
        say("no lab runs")
        return
    say(f"lab {name or DEFAULT} does not run")
    if where := api.where_else(context, name or DEFAULT):
        say(f"  {where}")


@command("lab.status", words=("name",), optional=("name",), example="lab.status",
         name=f"{LAB} (default: all running labs)", labs=LABS, json=JSON)  # fmt: skip
def lab_status(name: str, labs: str = "labs.yaml", json: bool = False) -> None:
    """Show the running labs: state, domains, run folder."""
    found = api.status(context_of(labs), name or None)
    if json:
        print_json(found[0] if name else found)
        return
    if not found:
        say("no lab runs; start one: ./inv lab.up")
    show_statuses(found)


@command("lab.list", example="lab.list", labs=LABS, json=JSON)
def lab_list(labs: str = "labs.yaml", json: bool = False) -> None:
    """List the labs of labs.yaml and their states."""
    found = api.list_labs(context_of(labs))
    if json:
        print_json(found)
        return
    rows = [
        [one.name + kind_word(one.arch), state_word(one), ", ".join(one.guests), one.description]
        for one in found
    ]
    print(table(rows))
    problems = dict.fromkeys(line for one in found for line in one.problem.splitlines())
    if problems:
        say(
            "\n".join(
                [
                    "these labs cannot be started, because a file of a guest is missing or wrong:",
                    *problems,
                ]
            )
        )


@command("lab.logs", words=("name",), optional=("name",), example="lab.logs hello --on dom0",
         name=LAB_OR_HELLO, labs=LABS, follow="keep printing lines as they come",
         on="only this console: xen, dom0 or a guest (default: all)")  # fmt: skip
def lab_logs(name: str, labs: str = "labs.yaml", on: str = "", follow: bool = False) -> None:
    """Print the output of the consoles, in time order."""
    for line in api.logs(context_of(labs), name or DEFAULT, on or None, follow):
        print(ci.shown(line), flush=follow)


@command("lab.console", words=("name",), optional=("name",), example="lab.console hello --on dom0",
         name=LAB_OR_HELLO, labs=LABS,
         on="which console: a guest, dom0 or xen (default: the first guest)")  # fmt: skip
def lab_console(name: str, labs: str = "labs.yaml", on: str = "") -> None:
    """Type to a guest, to dom0 or to Xen. Ctrl-] leaves."""
    api.console(context_of(labs), name or DEFAULT, on or None)


@command("lab.exec", words=("name", "line"), example='lab.exec hello "xl list"',
         name=LAB, line="the command; quote it if it contains spaces", labs=LABS, json=JSON,
         timeout="time limit for the command (default: 60)")  # fmt: skip
def lab_exec(name: str, line: str, labs: str = "labs.yaml", timeout: float = 60.0,
             json: bool = False) -> int:  # fmt: skip
    """Run a command in dom0.

    lab.exec prints what the command prints, and ends with its exit status.
    """
    result = api.execute(context_of(labs), name, line, timeout)
    if json:
        print_json({"argv": result.argv, "status": result.status,
                    "stdout": result.stdout.decode(errors="replace"),
                    "stderr": result.stderr.decode(errors="replace")})  # fmt: skip
    else:
        sys.stdout.buffer.write(result.stdout)
        sys.stdout.buffer.flush()
        sys.stderr.buffer.write(result.stderr)
        sys.stderr.buffer.flush()
    return result.status if result.status >= 0 else 128 - result.status


@command("lab.inject", words=("name", "guest"), example="lab.inject hello selftest",
         name=LAB, guest="name of the guest in labs.yaml", labs=LABS, json=JSON)  # fmt: skip
def lab_inject(name: str, guest: str, labs: str = "labs.yaml", json: bool = False) -> None:
    """Build a guest and start it in a running lab.

    If the guest already runs there, the new one replaces it.
    """
    result = api.inject(context_of(labs), name, guest)
    print_json(result) if json else show_injected(result, guest)


@command("lab.matrix", words=("name",), example="lab.matrix scheduling",
         name="name of the matrix in labs.yaml", labs=LABS, door=DOOR, json=JSON,
         arch="run each lab on these architectures, with commas between them: arm32,arm64",
         jobs=JOBS, cluster=CLUSTER,
         clock="virtual or host (default: virtual)")  # fmt: skip
def lab_matrix(name: str, labs: str = "labs.yaml", door: str = "", clock: str = "virtual",
               json: bool = False, arch: str = "", jobs: int = 0,
               cluster: str = "") -> int:  # fmt: skip
    """Run all labs of a matrix and compare them.

    The labs run side by side. It makes one table and one picture from their traces. The picture
    needs the packages of xenlab[plots].
    """
    archs = [one for word in arch.split(",") if (one := api.architecture(word))]
    context = replace(context_of(labs, door), cluster=chosen(cluster))
    _have_plots(context)
    result = api.compare(context, name, clock, archs, jobs)
    print_json(result) if json else show_compared(result)
    return 0 if result.outcome.complete else 1


def _have_plots(context: api.Context) -> None:
    """Install what draws, in a checkout. If that fails, the table is made without the picture."""
    with contextlib.suppress(ToolchainError):
        optional.have("matplotlib", "plots", context.progress)
