"""The task that makes one outcome from the parts that several machines ran."""

from __future__ import annotations

from pathlib import Path

from lab import api
from lab.cli.command import command, words_of
from lab.cli.lab_task import JSON, LABS
from lab.cli.labs import context_of
from lab.cli.output import print_json, say
from lab.cli.results import short
from lab.util import ci
from lab.util.terminal import escape_lines, table


@command("lab.merge", words=("folder",), several=True, example="lab.merge part-1 part-2 part-3",
         folder="what lab.run --shard left: copies of runs/, or of runs/many-runs/latest",
         junit="also write all verdicts to this file, as JUnit XML",
         times="write how long each lab took into times.json beside labs.yaml, for --shard",
         labs=LABS, json=JSON)  # fmt: skip
def lab_merge(folder: str, junit: str = "", times: bool = False, labs: str = "labs.yaml",
              json: bool = False) -> int:  # fmt: skip
    """Make one report from the parts of a CI job.

    It prints one table, compares the digests, and leaves one JUnit file. The exit status is that of
    the worst run. It is 3 if a lab was run by no part, and 1 if two runs of one lab have different
    digests.
    """
    context = context_of(labs)
    found = api.merge(context, [Path(word) for word in words_of(folder)],
                      Path(junit) if junit else None)  # fmt: skip
    if times:
        say(f"wrote {short(api.write_times(context, found))}")
    if ci.in_github() and (problem := ci.add_summary(found.markdown())):
        say(problem)
    print_json(found.summary()) if json else _show(found)
    return found.exit_status


def _show(found: api.Merged) -> None:
    for row in found.outcome.rows:
        if row.reason:
            print(ci.shown(f"{row.verdict} {row.lab}: {row.reason}"))
    header, rows = found.table()
    print(escape_lines(table(rows, header=header)))
    print(f"{found.outcome.passed} of {len(found.outcome.rows)} passed")
    for one in found.differing:
        print(ci.shown(str(one)))
    say(f"table and JUnit file: {short(found.folder)}/table.md, junit.xml")
