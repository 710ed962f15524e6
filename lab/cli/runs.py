"""Tasks that run scenarios, once or again, and those on templates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lab import api
from lab.cli.glue import command, print_json, say
from lab.cli.labs import (
    DEFAULT,
    DOOR_HELP,
    FORCE_HELP,
    JSON_HELP,
    LABS_HELP,
    LOCKED_HELP,
    context_of,
    is_cold,
)
from lab.cli.show import short, show_comparison, show_run, tell_ci
from lab.errors import UsageError
from lab.model import Clock
from lab.util.terminal import table

_CLOCK = "host or virtual (default: what labs.yaml says, else virtual)"


@command("lab.run", words=("name",), optional=("name",), labs=LABS_HELP, door=DOOR_HELP,
         json=JSON_HELP, junit="write JUnit XML to this file", force=FORCE_HELP,
         locked=LOCKED_HELP, clock=_CLOCK,
         cold="really boot it: no template (also LAB_COLD=1)",
         repeat="run it so many times; they must be alike to the last byte",
         verify="run the lab of this run (a folder, an id, latest) again; it must come to the same",
         published="it must come to what is published in labs.lock",
         publish="write what it came to into labs.lock")  # fmt: skip
def lab_run(name: str, labs: str = "labs.yaml", door: str = "", junit: str = "",
            json: bool = False, force: bool = False, locked: bool = False, clock: str = "",
            cold: bool = False, repeat: int = 0, verify: str = "", published: bool = False,
            publish: bool = False) -> int:  # fmt: skip
    """Boot, wait for what the lab expects, collect, stop; the exit status is the verdict."""
    context = context_of(labs, door, force, locked)
    cold = is_cold(cold)
    if repeat or verify:
        _refuse("--repeat" if repeat else "--verify", {
            "--junit": junit, "--clock host": clock == Clock.HOST, "--published": published,
            "--publish": publish, "--verify": verify if repeat else "",
        })  # fmt: skip
    if repeat:
        return _repeated(context, name or DEFAULT, repeat, cold, json)
    if verify:
        comparison = api.verify(context, Path(verify), cold=cold)
        tell_ci([comparison.run], json=json)
        print_json(comparison.summary()) if json else show_comparison(comparison)
        return comparison.exit_status
    result = api.run(
        context, name or DEFAULT, Path(junit) if junit else None, clock=_clock(clock), cold=cold
    )
    tell_ci([result], json=json)
    if publish:
        say(f"published in {short(api.publish(context, result))}")
    return _said(context, result, json, published)


@command("template.list", json=JSON_HELP)
def template_list(json: bool = False) -> None:
    """The booted labs that are stored, and what each is of."""
    found = api.template_list()
    if json:
        print_json(found)
        return
    rows = [
        [
            one["key"][:12],
            one["lab"],
            one["clock"],
            "guests created" if one["guests"] else "dom0 ready",
            f"{one['size'] / 1e6:.0f} MB",
        ]
        for one in found
    ]
    print(table(rows, header=["Template", "Lab", "Clock", "Stored with", "On disk"]))


@command("template.clean")
def template_clean() -> None:
    """Remove all templates; the next start of each lab boots it and stores one again."""
    say(f"removed {api.template_clean() / 1e6:.0f} MB of templates")


def _repeated(context: api.Context, name: str, times: int, cold: bool, json: bool) -> int:
    result = api.repeat(context, name, times, cold=cold)
    tell_ci(result.runs, json=json)
    if json:
        print_json(result.summary())
        return result.exit_status
    show_run(result.runs[0])
    if result.same:
        say(f"{len(result.runs)} runs, one digest: {result.runs[0].digest}")
    else:
        say(f"run {len(result.runs)} differs from the first, in {result.difference}")
    return result.exit_status


def _said(context: api.Context, result: api.Run, json: bool, published: bool) -> int:
    status = int(result.report.verdict.exit_status)
    comparison = api.compare_with_published(context, result)
    beside = "none" if comparison is None else "same" if comparison.same else "differs"
    if json:
        print_json(result.summary() | {"published": beside})
    else:
        show_run(result)
        if comparison:
            show_comparison(comparison, what="the published one")
    if published and status == 0 and beside != "same":
        if comparison is None:
            raise UsageError(f"no run of lab {result.report.lab} is published")
        return comparison.exit_status
    return status


def _refuse(what: str, others: Mapping[str, object]) -> None:
    """What runs that are compared with each other cannot do as well."""
    for other in (name for name, given in others.items() if given):
        raise UsageError(f"{what} and {other} do not go together", hint="leave one of them away")


def _clock(word: str) -> Clock | None:
    try:
        return Clock(word) if word else None
    except ValueError:
        raise UsageError(f"there is no clock {word!r}", hint=_CLOCK) from None
