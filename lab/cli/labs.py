"""Tasks on labs: up, down, status, logs, exec, inject, run, console."""

from __future__ import annotations

import sys
from pathlib import Path

from lab import api
from lab.cli.glue import command, print_json, say
from lab.cli.show import short, show_domains, show_run, show_up
from lab.progress import Progress

DEFAULT = "hello"
_LABS = "the file that describes the labs"
_JSON = "print JSON for programs"
_DOOR = "toolchain: auto, docker, rootfs, host"
_LOCKED = "packages that are not the ones in labs.lock are an error (LAB_LOCKED=1 says so too)"
_FORCE = "boot a hypervisor even if its version is not that of the tools in dom0"


def _context(labs: str, door: str = "", force: bool = False, locked: bool = False) -> api.Context:
    return api.Context(Path(labs), door or None, Progress(), force, locked)


@command("lab.up", words=("name",), optional=("name",), labs=_LABS, door=_DOOR, json=_JSON,
         force=_FORCE, locked=_LOCKED,
         plan="print what would be started, as JSON, and start nothing")  # fmt: skip
def lab_up(name: str, labs: str = "labs.yaml", door: str = "", plan: bool = False,
           json: bool = False, force: bool = False, locked: bool = False) -> None:  # fmt: skip
    """Boot a lab and create its guests; returns when they run."""
    context = _context(labs, door, force, locked)
    if plan:
        print(api.plan_json(context, name or DEFAULT), end="")
        return
    result = api.up(context, name or DEFAULT)
    print_json(result) if json else show_up(result)


@command("lab.down", words=("name",), optional=("name",), labs=_LABS, json=_JSON,
         all="every lab of this user")  # fmt: skip
def lab_down(name: str, labs: str = "labs.yaml", all: bool = False, json: bool = False) -> None:
    """Stop a lab; its run folder stays."""
    found = api.down_all() if all else [api.down(_context(labs), name or DEFAULT)]
    stopped = [one for one in found if one]
    if json:
        print_json(stopped)
        return
    for one in stopped:
        logs = f"; its logs: {short(one.run)}" if one.run else ""
        say(f"lab {one.name} is down after {one.uptime:.0f} s{logs}")
    if not stopped:
        say("no lab runs" if all else f"lab {name or DEFAULT} does not run")


@command("lab.status", words=("name",), optional=("name",), labs=_LABS, json=_JSON)
def lab_status(name: str, labs: str = "labs.yaml", json: bool = False) -> None:
    """State, domains, uptime and run folder of a lab, or of all that run."""
    found = api.status(_context(labs), name or None)
    if json:
        print_json(found[0] if name else found)
        return
    if not found:
        say("no lab runs; start one: ./inv lab.up")
    for one in found:
        say(f"lab {one.name}: {one.state}, up {one.uptime:.0f} s, run {one.run}")
        show_domains(one.domains)


@command("lab.list", labs=_LABS, json=_JSON)
def lab_list(labs: str = "labs.yaml", json: bool = False) -> None:
    """The labs of labs.yaml and which of them run."""
    found = api.list_labs(_context(labs))
    if json:
        print_json(found)
        return
    for one in found:
        print(f"{one.name:16} {one.state:8} {', '.join(one.guests):24} {one.description}")


@command("lab.logs", words=("name",), optional=("name",), labs=_LABS,
         on="only this console: xen, dom0 or a guest", follow="go on as lines come")  # fmt: skip
def lab_logs(name: str, labs: str = "labs.yaml", on: str = "", follow: bool = False) -> None:
    """What the consoles said: one of them, or all in time order."""
    for line in api.logs(_context(labs), name or DEFAULT, on or None, follow):
        print(line, flush=follow)


@command("lab.console", words=("name",), optional=("name",), labs=_LABS,
         on="which console: a guest, dom0 or xen (default: the first guest)")  # fmt: skip
def lab_console(name: str, labs: str = "labs.yaml", on: str = "") -> None:
    """An interactive console, like xl console. Ctrl-] leaves it."""
    api.console(_context(labs), name or DEFAULT, on or None)


@command("lab.exec", words=("name", "line"), labs=_LABS, json=_JSON,
         timeout="seconds that the command may take")  # fmt: skip
def lab_exec(name: str, line: str, labs: str = "labs.yaml", timeout: float = 60.0,
             json: bool = False) -> int:  # fmt: skip
    """Run a command in dom0: its output, its exit status."""
    result = api.execute(_context(labs), name, line, timeout)
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


@command("lab.inject", words=("name", "guest"), labs=_LABS, json=_JSON)
def lab_inject(name: str, guest: str, labs: str = "labs.yaml", json: bool = False) -> None:
    """Build a guest if needed, copy it into dom0, create it; again replaces it."""
    result = api.inject(_context(labs), name, guest)
    print_json(result) if json else show_up(result)


@command("lab.run", words=("name",), optional=("name",), labs=_LABS, door=_DOOR, json=_JSON,
         junit="write JUnit XML to this file", force=_FORCE, locked=_LOCKED)  # fmt: skip
def lab_run(name: str, labs: str = "labs.yaml", door: str = "", junit: str = "",
            json: bool = False, force: bool = False, locked: bool = False) -> int:  # fmt: skip
    """Boot, wait for what the lab expects, collect, stop; the exit status is the verdict."""
    context = _context(labs, door, force, locked)
    result = api.run(context, name or DEFAULT, Path(junit) if junit else None)
    print_json(result.summary()) if json else show_run(result)
    return int(result.report.verdict.exit_status)
