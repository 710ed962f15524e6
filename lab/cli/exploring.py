"""The task that runs a lab with many seeds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lab import api
from lab.cli.cluster import chosen
from lab.cli.command import command, refuse_together
from lab.cli.lab_task import ARCH, CLUSTER, DOOR, JSON, LAB, LABS, LOCKED
from lab.cli.labs import context_of
from lab.cli.numbers import span
from lab.cli.output import print_json, say
from lab.cli.results import short
from lab.util import ci
from lab.util.resources import as_called
from lab.util.terminal import table


@command("lab.explore", words=("name",), example="lab.explore lost-wakeup --seeds 200",
         name=LAB, labs=LABS, door=DOOR, json=JSON, locked=LOCKED, arch=ARCH,
         seeds="how many seeds, from 1; or which ones: 41-60 (default: 100)",
         jobs="run N at a time (default: as many as this machine has room for)",
         cluster=CLUSTER,
         shard="run only this part of the seeds: 2/3 is the second of three (lab.merge)",
         junit="also write a case for each seed to this file, as JUnit XML",
         plan="only print what each seed changes")  # fmt: skip
def lab_explore(name: str, labs: str = "labs.yaml", door: str = "", seeds: str = "100",
                jobs: int = 0, json: bool = False, locked: bool = False, arch: str = "",
                plan: bool = False, cluster: str = "", junit: str = "",
                shard: str = "") -> int:  # fmt: skip
    """Run a lab in many variations; find those that fail.

    Each seed disturbs the run in another way, and always in the same way. Failures are put into
    groups, and each group has the fewest disturbances that show it.
    """
    context = context_of(labs, door, False, locked, arch)
    wanted = span("--seeds", seeds)
    if plan:
        refuse_together("--plan", {"--junit": junit})
        found = api.explore_plan(context, name, wanted, shard)
        print_json(found) if json else _show_plan(found, api.explore_lacks(context, name))
        return 0
    context = replace(context, cluster=chosen(cluster))

    def show(result: api.Explored) -> None:
        print_json(result.summary()) if json else show_explored(result)

    file = Path(junit) if junit else None
    options = api.ExploreOptions(jobs, junit=file, interrupted=show, shard=shard)
    result = api.explore(context, name, wanted, options)
    show(result)
    tell_page(result)
    return result.exit_status


def _show_plan(found: dict[int, list[str]], lacks: dict[str, str]) -> None:
    for what, why in lacks.items():
        print(f"never different here: {what}, because {why}")
    if not found:
        print("this part has no seeds")
    for seed, words in found.items():
        print(f"seed {seed}:" + ("" if words else " nothing is different"))
        for one in words:
            print(f"  {one}")


def tell_page(result: api.Explored | api.Merged) -> None:
    """In a job of GitHub Actions: the outcome on the page of the job."""
    if ci.in_github() and (problem := ci.add_summary(result.markdown())):
        say(problem)


def show_explored(result: api.Explored) -> None:
    """Print the failures with their commands, the figures, and one last line."""
    outcome = result.outcome
    for number, group in enumerate(outcome.groups, 1):
        print(ci.shown(f"failure {number} [{group.layer}]: {group.reason}"))
        print(f"  {len(group.seeds)} of {len(outcome.results)} seeds: {group.some_seeds}")
        _show_smallest(group)
        _show_commands(group)
    header, rows = outcome.figures_table()
    if rows:
        print(table(rows, header=header))
    print(outcome.last_line)
    print(f"outcome: {short(result.folder)}/outcome.json", flush=True)


def _show_smallest(group: api.SeedGroup) -> None:
    """The seed of a group that needs the fewest disturbances."""
    first = group.smallest or group.results[0]
    print(f"  seed {first.seed} fails with:" + ("" if first.disturbances else " nothing"))
    for one in first.disturbances:
        print(f"    {one}")


def _show_commands(group: api.SeedGroup) -> None:
    """The commands that run each seed again, and that show its failure."""
    print("  run it again, and look at it in GDB:")
    for one in group.shown:
        print(as_called(f"    {one.again}"))
        if one.debug:
            print(as_called(f"    {one.debug}"))
