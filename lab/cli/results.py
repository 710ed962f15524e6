"""Prints results for people."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from lab import api
from lab.cli.output import say
from lab.model import ARCHITECTURES, Domain
from lab.util import ci
from lab.util.resources import as_called
from lab.util.terminal import quote, table


def show_domains(domains: Sequence[Domain]) -> None:
    """Print the table of ``xl list`` on standard output."""
    if domains:
        rows = [
            [one.name, one.id, one.memory >> 20, one.vcpus, one.state, f"{one.time:.1f}"]
            for one in domains
        ]
        print(table(rows, header=["Name", "ID", "Mem", "VCPUs", "State", "Time(s)"]), flush=True)
    noted = [one for one in domains if one.note]
    for one in noted:
        print(f"guest {one.name} {one.note}", flush=True)
    if any(not set(one.state) & {"s", "c"} for one in noted):
        print(f"  {api.SILENCE}", flush=True)


def state_word(one: api.LabStatus) -> str:
    """The state of a lab in a word: ``running``, ``stands``, ``starting``, ``off``.

    Programs read the state itself (``--json``).
    """
    if one.stands:
        return "stands"
    return "running" if one.running else "starting" if one.preparing else str(one.state)


def kind_word(arch: str) -> str:
    """The architecture of a lab, as `` (arm64)``; nothing if it is the one of most labs."""
    return f" ({arch})" if arch not in ("", ARCHITECTURES[0].xen) else ""


def show_statuses(found: Sequence[api.LabStatus]) -> None:
    """Print the states of labs on standard output."""
    for one in found:
        words = [f"lab {one.name}{kind_word(one.arch)}: {state_word(one)}"]
        words[0] += f": {one.stands}" if one.stands else ""
        words += [f"for {one.uptime:.0f} s"] if one.running and not one.stands else []
        words += [f"by {one.preparing}"] if one.preparing else []
        print(as_called(" ".join(words) + (f"; run {short(one.run)}" if one.run else "")))
        if one.elsewhere:
            print(f"  in another session of yours, whose labs live in {one.where}")
        elif one.where:
            print(f"  of the labs.yaml in {one.where}")
        if one.reach:
            print(as_called(f"  to reach it: {one.reach}"))
        if one.problem:
            print(as_called(f"  {one.problem}"))
        if one.stands:
            show_ways_on(one.name)
        show_domains(one.domains)
        if not _has_dom0(one.domains):
            print("  it has no dom0, which would know the state of its guests")
    sys.stdout.flush()


def show_ways_on(name: str) -> None:
    """Print how to look at a lab that stands, and how it goes on."""
    ways = [
        (f"./inv lab.debug {name}", "look at it; it goes on when GDB leaves"),
        (f"./inv lab.core {name}", "look at what crashed, without the machine"),
        (f"./inv lab.down {name}", "stop it"),
    ]
    print(as_called("\n".join(f"  {line}" for line in table(ways).splitlines())), flush=True)


def show_stood(name: str, stood: api.Stood) -> None:
    """Print what made a lab stand, and how to look at it."""
    print(ci.shown(f"lab {name} stands: {stood.why}"))
    for line in stood.tail.splitlines():
        print(ci.shown(f"    {line}"))
    show_ways_on(name)


def _has_dom0(domains: Sequence[Domain]) -> bool:
    """Whether these are the domains of a lab with dom0; also if none are known."""
    return not domains or any(domain.id == 0 for domain in domains)


def show_stopped(found: Sequence[api.LabStatus]) -> None:
    """Say which labs were stopped, and which commands that interrupted."""
    for one in found:
        if one.interrupted:
            say(f"interrupted {one.interrupted}")
        ran = f" (it was up for {one.uptime:.0f} s)" if one.uptime else ""
        say(f"stopped lab {one.name}{ran}" + (f"; its logs: {short(one.run)}" if one.run else ""))


def show_up(result: api.Up) -> None:
    """Show the domains, the first lines of each guest, where the logs are, and what to try next."""
    _show_started(result)
    name = result.name
    on = next(iter(result.lines), "dom0")
    say(f"lab {name} is up after {result.seconds:.1f} s; logs: {short(result.run)}/console/")
    say("try next:")
    has_dom0 = _has_dom0(result.domains)
    reach = "type to the guest" if has_dom0 else "what the guest prints"
    tries = [
        (f"./inv lab.console {name} --on {on}", f"{reach}; Ctrl-] leaves"),
        *([(f'./inv lab.exec {name} "xl list"', "a command in dom0")] if has_dom0 else []),
        (f"./inv lab.down {name}", "stop it"),
    ]
    say("\n".join(f"  {line}" for line in table(tries).splitlines()))


def _show_started(result: api.Up) -> None:
    print(flush=True)
    show_domains(result.domains)
    for name, lines in result.lines.items():
        print(f"\n{name} says:", flush=True)
        print(
            "\n".join(ci.shown(f"  | {line}") for line in lines.splitlines()) or "  (nothing yet)"
        )
    print(flush=True)


def show_injected(result: api.Up, guest: str) -> None:
    """Show the guest that was started, and its first lines."""
    _show_started(result)
    say(f"guest {guest} runs in lab {result.name}")
    say("try next:")
    say(f"  ./inv lab.console {result.name} --on {guest}    type to it; Ctrl-] leaves")


def show_run(result: api.Run) -> None:
    """Print a verdict: what was expected, what was seen, and which layer failed."""
    for one in result.disturbances:
        print(f"  disturbance {one}")
    for item in result.report.results:
        seen = "not seen" if item.seen is None else f"seen after {item.seen:.1f} s"
        print(ci.shown(f"  {item.expectation.on}: {quote(item.expectation.text)}: {seen}"))
    for step in result.report.steps:
        when = f" after {step.began + step.seconds:.1f} s" if step.outcome != "skipped" else ""
        print(ci.shown(f"  {step.name}: {step.outcome}{when}"))
    for guest, note in result.report.notes.items():
        print(ci.shown(f"  guest {guest} {note}"))
    for limit in result.report.thresholds:
        print(ci.shown(f"  threshold {limit.name}: {limit.outcome}"))
    verdict = result.report.verdict
    if verdict.passed:
        print(f"PASS {result.report.title}")
    else:
        print(ci.shown(f"FAIL {result.report.title} [{verdict.layer}]: {verdict.reason}"))
        for line in verdict.tail.splitlines():
            print(ci.shown(f"    {line}"))
        if verdict.hint:
            print(f"  what to do: {verdict.hint}")
    if result.digest:
        print(f"digest: {result.digest} (all times are virtual: they count instructions)")
    print(f"run: {short(result.run)}{on_worker(result)}", flush=True)


def on_worker(result: api.Run) -> str:
    """Which worker of a cluster ran a lab, in words; empty if it ran here."""
    found = api.worker_of(result)
    other = ", which has another toolchain" if found and found.other_toolchain else ""
    return f" on worker {found.name}{other}" if found else ""


def show_runs(result: api.Runs) -> None:
    """Print the failures, then a table of all runs and how many passed. Of runs that are the same,
    to the last byte, one is shown."""
    shown = set[tuple[str, str]]()
    for one in result.runs:
        same = one.report.title, one.digest
        if not one.report.verdict.passed and not (one.digest and same in shown):
            show_run(one)
            print()
            shown.add(same)
    header, rows = result.table()
    part = f" in shard {result.outcome.shard}" if result.outcome.shard else ""
    print(table(rows, header=header))
    for one in result.runs:
        if one.report.verdict.passed and (words := on_worker(one)):
            print(f"{short(one.run)} ran{words}")
    more = f"; {result.not_ended} more had not ended" if result.not_ended else ""
    print(f"{result.passed} of {len(result.runs)} passed{part}{more}", flush=True)
    for two in result.differing:
        print(ci.shown(str(two)), flush=True)
    say(f"all runs took {result.seconds:.1f} s; table and JUnit file: {short(result.folder)}/")


def tell_ci(results: Sequence[api.Run], *, json: bool) -> None:
    """In a job of GitHub Actions, print annotations and add a summary to the page of the job.

    With ``json``, annotations go to standard error; GitHub reads both.
    """
    if not ci.in_github():
        return
    for line in api.ci_annotations(results):
        print(line, file=sys.stderr if json else sys.stdout, flush=True)
    if problem := ci.add_summary(api.ci_summary(results)):
        say(problem)


def show_several(results: Sequence[api.Up]) -> None:
    """Print the labs that were started together."""
    for one in results:
        print(f"{one.name:16} up after {one.seconds:.2f} s  {short(one.run)}")
    like = results[0].name.rpartition("-")[0]
    say(f"stop them all: ./inv lab.down '{like}-*'")


def show_comparison(one: api.Comparison, what: str = "the earlier run") -> None:
    """Print whether two runs are the same, and where they first differ."""
    if one.same:
        print(f"the same as {what}, bit for bit: {one.wanted}")
        return
    print(f"not the same as {what}: {one.run.digest}, not {one.wanted}")
    if one.apart:
        print(f"they were made from different inputs: {', '.join(one.apart)}")
    if one.difference:
        print(f"they differ in {one.difference}")


def show_compared(result: api.Compared) -> None:
    """Print the short table of a matrix, and where the full one is."""
    header, rows = result.brief()
    print(table(rows, header=header), flush=True)
    if (result.folder / "picture.svg").exists():
        say(f"table and picture: {short(result.folder)}/table.md, picture.svg, picture.png")
    else:
        say(f"table: {short(result.folder)}/table.md")


def short(path: Path) -> str:
    """A path, relative to the current folder if that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)


def show_imported(made: api.Imported) -> None:
    """Print what became of a configuration, what was left out, and what to do next."""
    for line in made.notes:
        say(line)
    if not made.into:
        print(made.text, end="", flush=True)
    if made.problem:
        say(f"a labs.yaml with this block would be refused:\n{made.problem}")
        return
    labs = (
        ""
        if made.into is None or made.into == Path("labs.yaml")
        else f" --labs {shlex.quote(short(made.into))}"
    )
    where = "added to" if made.into else "paste it into labs.yaml, or add --into"
    file = made.into or "labs.yaml"
    say(f"{where} {file}; then: ./inv lab.run {made.labs[0]}{labs}")
