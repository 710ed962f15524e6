"""Tasks on labs: up, down, status, logs, exec, inject, console."""

from __future__ import annotations

import sys
from pathlib import Path

from lab import api
from lab.cli.glue import command, print_json, say
from lab.cli.show import (
    show_compared,
    show_several,
    show_statuses,
    show_stopped,
    show_up,
    state_word,
)
from lab.progress import Progress
from lab.util import ci
from lab.util.environment import switched_on

DEFAULT = "hello"
LABS_HELP = "the file that describes the labs"
JSON_HELP = "print JSON for programs"
DOOR_HELP = "toolchain: auto, docker, rootfs, host"
LOCKED_HELP = "packages that are not the ones in labs.lock are an error (LAB_LOCKED=1 says so too)"
FORCE_HELP = "boot a hypervisor even if its version is not that of the tools in dom0"


def context_of(labs: str, door: str = "", force: bool = False, locked: bool = False) -> api.Context:
    """What the common options say."""
    return api.Context(Path(labs), door or None, Progress(), force, locked)


def is_cold(option: bool) -> bool:
    """Whether templates stay out of it; ``LAB_COLD=1`` has every command really boot."""
    return option or switched_on("LAB_COLD")


@command("lab.up", words=("name",), optional=("name",), labs=LABS_HELP, door=DOOR_HELP,
         json=JSON_HELP, force=FORCE_HELP, locked=LOCKED_HELP,
         cold="really boot it: no template (also LAB_COLD=1)",
         count="start so many, named NAME-1, NAME-2, …",
         plan="print what would be started, as JSON, and start nothing")  # fmt: skip
def lab_up(name: str, labs: str = "labs.yaml", door: str = "", plan: bool = False,
           json: bool = False, force: bool = False, locked: bool = False, cold: bool = False,
           count: int = 0) -> None:  # fmt: skip
    """Boot a lab, or restore it, and create its guests; returns when they run."""
    context = context_of(labs, door, force, locked)
    if plan:
        print(api.plan_json(context, name or DEFAULT), end="")
        return
    if count:
        several = api.up_several(context, name or DEFAULT, count, cold=is_cold(cold))
        print_json(several) if json else show_several(several)
        return
    result = api.up(context, name or DEFAULT, cold=is_cold(cold))
    print_json(result) if json else show_up(result)


@command("lab.down", words=("name",), optional=("name",), labs=LABS_HELP, json=JSON_HELP,
         all="every lab of this labs.yaml in this session",
         everywhere="every lab of yours, of other labs.yaml and other sessions too")  # fmt: skip
def lab_down(name: str, labs: str = "labs.yaml", all: bool = False, everywhere: bool = False,
             json: bool = False) -> None:  # fmt: skip
    """Stop a lab, or all whose names match a pattern ('hello-*'); run folders stay."""
    context = context_of(labs)
    if all or everywhere:
        stopped = api.down_all(context, everywhere=everywhere)
    elif api.is_pattern(name):
        stopped = api.down_matching(context, name)
    else:
        stopped = [one for one in [api.down(context, name or DEFAULT)] if one]
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


@command("lab.status", words=("name",), optional=("name",), labs=LABS_HELP, json=JSON_HELP)
def lab_status(name: str, labs: str = "labs.yaml", json: bool = False) -> None:
    """State, domains, uptime and run folder of a lab, or of all that run."""
    found = api.status(context_of(labs), name or None)
    if json:
        print_json(found[0] if name else found)
        return
    if not found:
        say("no lab runs; start one: ./inv lab.up")
    show_statuses(found)


@command("lab.list", labs=LABS_HELP, json=JSON_HELP)
def lab_list(labs: str = "labs.yaml", json: bool = False) -> None:
    """The labs of labs.yaml and which of them run."""
    found = api.list_labs(context_of(labs))
    if json:
        print_json(found)
        return
    for one in found:
        print(f"{one.name:16} {state_word(one):8} {', '.join(one.guests):24} {one.description}")


@command("lab.logs", words=("name",), optional=("name",), labs=LABS_HELP,
         on="only this console: xen, dom0 or a guest", follow="go on as lines come")  # fmt: skip
def lab_logs(name: str, labs: str = "labs.yaml", on: str = "", follow: bool = False) -> None:
    """What the consoles said: one of them, or all in time order."""
    for line in api.logs(context_of(labs), name or DEFAULT, on or None, follow):
        print(ci.shown(line), flush=follow)


@command("lab.console", words=("name",), optional=("name",), labs=LABS_HELP,
         on="which console: a guest, dom0 or xen (default: the first guest)")  # fmt: skip
def lab_console(name: str, labs: str = "labs.yaml", on: str = "") -> None:
    """An interactive console, like xl console. Ctrl-] leaves it."""
    api.console(context_of(labs), name or DEFAULT, on or None)


@command("lab.exec", words=("name", "line"), labs=LABS_HELP, json=JSON_HELP,
         timeout="seconds that the command may take")  # fmt: skip
def lab_exec(name: str, line: str, labs: str = "labs.yaml", timeout: float = 60.0,
             json: bool = False) -> int:  # fmt: skip
    """Run a command in dom0: its output, its exit status."""
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


@command("lab.inject", words=("name", "guest"), labs=LABS_HELP, json=JSON_HELP)
def lab_inject(name: str, guest: str, labs: str = "labs.yaml", json: bool = False) -> None:
    """Build a guest if needed, copy it into dom0, create it; again replaces it."""
    result = api.inject(context_of(labs), name, guest)
    print_json(result) if json else show_up(result)


@command("lab.matrix", words=("name",), labs=LABS_HELP, door=DOOR_HELP, json=JSON_HELP,
         clock="virtual (the default) or host")  # fmt: skip
def lab_matrix(name: str, labs: str = "labs.yaml", door: str = "", clock: str = "virtual",
               json: bool = False) -> int:  # fmt: skip
    """Run all labs of an experiment and compare their traces: one table, one picture."""
    result = api.compare(context_of(labs, door), name, clock)
    print_json(result) if json else show_compared(result)
    return 0 if result.outcome.complete else 1
