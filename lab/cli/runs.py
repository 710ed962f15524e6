"""Tasks that run scenarios once or several times, and tasks on templates."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab import api
from lab.cli.bisection import for_git
from lab.cli.cluster import chosen
from lab.cli.command import command, refuse_together, words_of
from lab.cli.lab_task import (
    ARCH,
    CLUSTER,
    COLD,
    DOOR,
    FORCE,
    JOBS,
    JSON,
    LAB_OR_HELLO,
    LABS,
    LOCKED,
)
from lab.cli.labs import DEFAULT, context_of, is_cold
from lab.cli.numbers import numbers, whole_number
from lab.cli.output import print_json, say
from lab.cli.results import (
    kind_word,
    on_worker,
    short,
    show_comparison,
    show_run,
    show_runs,
    tell_ci,
)
from lab.errors import UsageError
from lab.model import Clock, ExitStatus
from lab.util.terminal import table

_CLOCK = "host or virtual (default: what labs.yaml says, else virtual)"


@command("lab.run", words=("name",), optional=("name",), several=True,
         example="lab.run 'sched-*' --junit results.xml",
         name=f"{LAB_OR_HELLO}; several names, or patterns such as 'sched-*', run several labs",
         all="run all labs of labs.yaml",
         jobs=JOBS,
         shard="run only this part of the labs: 2/3 is the second of three (lab.merge)",
         labs=LABS, door=DOOR, json=JSON, force=FORCE, locked=LOCKED, cold=COLD,
         junit="also write the verdicts to this file, as JUnit XML", clock=_CLOCK,
         arch=ARCH,
         seed="disturb the run as this seed says; the same seed is the same run (lab.explore)",
         keep="of the seed's disturbances, keep only these: their numbers, with commas",
         repeat="run the lab N times; fail unless all runs are the same to the last byte",
         verify="repeat an earlier run; fail unless both are the same. RUN is latest, an id, "
                "or a folder of runs/",
         published="fail unless the run is the same as the one published in labs.lock",
         publish="write the run's digest into labs.lock",
         pause_on_failure="if it fails, let the machine stand there and open GDB",
         cores="leave a core file of every guest, even of those that did not fail",
         cluster=CLUSTER,
         bisect="end with the exit status that git bisect run wants")  # fmt: skip
def lab_run(name: str, labs: str = "labs.yaml", door: str = "", junit: str = "",
            json: bool = False, force: bool = False, locked: bool = False, clock: str = "",
            cold: bool = False, repeat: str = "", verify: str = "", published: bool = False,
            publish: bool = False, arch: str = "", seed: str = "", keep: str = "",
            pause_on_failure: bool = False, cores: bool = False, bisect: bool = False,
            all: bool = False, jobs: int = 0, shard: str = "",
            cluster: str = "") -> int:  # fmt: skip
    """Run labs as tests; the exit status is the verdict.

    It starts the lab, waits for what labs.yaml expects of it, and stops it. Everything that the
    consoles said stays in the run folder. Several labs run side by side, and the exit status is
    that of the worst.
    """
    context = context_of(labs, door, force, locked, arch)
    context = replace(context, pause=pause_on_failure, cores=cores, **_disturbed(seed, keep),
                      cluster=chosen(cluster))  # fmt: skip
    if pause_on_failure and context.cluster:
        refuse_together("--pause-on-failure", {"a cluster": context.cluster.address})
    if seed:
        refuse_together("--seed", {
            "--published": published, "--publish": publish, "--verify": verify,
            "--clock host": clock == Clock.HOST,
        })  # fmt: skip
    cold = is_cold(cold)
    names, times = words_of(name), _times(repeat, jobs)
    if all or shard or len(names) > 1 or api.is_pattern(name) or (repeat and junit):
        if repeat:
            refuse_together("--repeat", {"--clock host": clock == Clock.HOST})
        refuse_together("--all" if all else "several runs", {
            "a name": name if all else "", "--verify": verify, "--keep": keep,
            "--publish": publish, "--bisect": bisect, "--pause-on-failure": pause_on_failure,
        })  # fmt: skip
        options = api.RunOptions(_clock(clock), cold, jobs, Path(junit) if junit else None, shard,
                                 times or 1, functools.partial(_show, json=json))  # fmt: skip
        names = api.select(context, ["*"] if all else names or [DEFAULT])
        return _several(api.run_many(context, names, options), json, published)
    first = "--repeat" if repeat else "--verify" if verify else "--bisect" if bisect else ""
    if first:
        refuse_together(first, {
            "--junit": junit, "--clock host": clock == Clock.HOST, "--published": published,
            "--publish": publish, "--pause-on-failure": pause_on_failure,
            "--verify": verify if first != "--verify" else "",
            "--bisect": bisect if first != "--bisect" else "",
        })  # fmt: skip
    if repeat:
        return _repeated(api.repeat(context, name or DEFAULT, times, cold=cold, jobs=jobs), json)
    if verify:
        return _verified(api.verify(context, Path(verify), cold=cold), json)
    if bisect:
        return for_git(lambda: api.run(context, name or DEFAULT, clock=Clock.VIRTUAL, cold=cold),
                       json=json)  # fmt: skip
    result = api.run(
        context, name or DEFAULT, Path(junit) if junit else None, clock=_clock(clock), cold=cold
    )
    tell_ci([result], json=json)
    if publish:
        say(f"published in {short(api.publish(context, result))}")
    return _said(context, result, json, published)


@command("template.list", example="template.list", json=JSON)
def template_list(json: bool = False) -> None:
    """List the templates."""
    found = api.template_list()
    if json:
        print_json(found)
        return
    rows = [
        [
            one["key"][:12],
            one["lab"] + kind_word(one["arch"]),
            one["clock"],
            _stage(one),
            f"{one['size'] / 1e6:.0f} MB",
        ]
        for one in found
    ]
    print(table(rows, header=["Template", "Lab", "Clock", "Stored with", "On disk"]))


def _stage(one: Mapping[str, Any]) -> str:
    """How far the machine was when it was stored. One without dom0 has no initramfs."""
    if one["guests"]:
        return "guests created"
    return "dom0 ready" if "initramfs" in one["made_of"] else "images loaded"


@command("template.clean", example="template.clean")
def template_clean() -> None:
    """Remove all templates.

    The next start of a lab boots it and stores a new template.
    """
    say(f"removed {api.template_clean() / 1e6:.0f} MB of templates")


def _show(result: api.Runs, *, json: bool) -> None:
    print_json(result.summary()) if json else show_runs(result)


def _several(result: api.Runs, json: bool, published: bool) -> int:
    """Show the runs. With ``published``, those of published labs must be the same as these."""
    tell_ci(result.runs, json=json)
    _show(result, json=json)
    apart = [row.lab for row in result.outcome.rows if row.published == "differs"]
    if published and apart:
        say(f"not the same as the published run: {', '.join(apart)}")
        return result.exit_status or int(ExitStatus.GUEST)
    return result.exit_status


def _verified(comparison: api.Comparison, json: bool) -> int:
    tell_ci([comparison.run], json=json)
    print_json(comparison.summary()) if json else show_comparison(comparison)
    return comparison.exit_status


def _repeated(result: api.Repeated, json: bool) -> int:
    tell_ci(result.runs, json=json)
    if json:
        print_json(result.summary())
        return result.exit_status
    show_run(result.runs[0])
    for one in result.runs[1:]:
        print(f"run: {short(one.run)}{on_worker(one)}")
    if result.other is None:
        print(f"{len(result.runs)} runs, one digest: {result.runs[0].digest}")
    else:
        print(f"{short(result.other.run)} differs from the first, in {result.difference}")
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


def _times(repeat: str, jobs: int) -> int:
    """How many times ``--repeat`` says; 0 if it is not there. ``--jobs`` makes sense, too."""
    times = whole_number("--repeat", repeat) if repeat else 0
    if repeat and not times:
        raise UsageError(f"--repeat {repeat} would run nothing", hint="write 2, or more")
    if jobs < 0:
        raise UsageError(f"{jobs} runs cannot go on at once", hint="write --jobs 1, or more")
    return times


def _disturbed(seed: str, keep: str) -> dict[str, Any]:
    """What the options ``--seed`` and ``--keep`` say, as fields of a context."""
    if keep and not seed:
        raise UsageError("--keep names disturbances of a seed", hint="add --seed N")
    return {"seed": whole_number("--seed", seed) if seed else None,
            "keep": numbers("--keep", keep) if keep else None}  # fmt: skip


def _clock(word: str) -> Clock | None:
    try:
        return Clock(word) if word else None
    except ValueError:
        raise UsageError(f"there is no clock {word!r}", hint=_CLOCK) from None
