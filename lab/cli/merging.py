"""The task that makes one outcome from the parts that several machines ran."""

from __future__ import annotations

from pathlib import Path

from lab import api
from lab.cli.command import command, refuse_together, words_of
from lab.cli.exploring import show_explored, tell_page
from lab.cli.lab_task import JSON, LABS
from lab.cli.labs import context_of
from lab.cli.output import print_json, say
from lab.cli.results import short
from lab.util import ci
from lab.util.terminal import escape_lines, table


@command("lab.merge", words=("folder",), several=True, example="lab.merge part-1 part-2 part-3",
         folder="what lab.run or lab.explore left with --shard: copies of runs/, of "
                "runs/many-runs/latest, or of runs/explore-NAME/latest",
         junit="also write all verdicts to this file, as JUnit XML",
         times="write how long each lab took into times.json beside labs.yaml, for --shard",
         labs=LABS, json=JSON)  # fmt: skip
def lab_merge(folder: str, junit: str = "", times: bool = False, labs: str = "labs.yaml",
              json: bool = False) -> int:  # fmt: skip
    """Make one report from the parts of a CI job.

    It prints one table, compares the digests, and leaves one JUnit file. The exit status is that of
    the worst run. It is 3 if a lab was run by no part, and 1 if two runs of one lab have different
    digests. The parts of an exploration become one exploration; all of them must be there.
    """
    context, folders = context_of(labs), [Path(word) for word in words_of(folder)]
    file = Path(junit) if junit else None
    if folders and api.is_exploration(folders[0]):
        refuse_together("the parts of an exploration", {"--times": times})
        return _explored(api.merge_explorations(context, folders, file), json)
    found = api.merge(context, folders, file)
    if times:
        say(f"wrote {short(api.write_times(context, found))}")
    tell_page(found)
    print_json(found.summary()) if json else _show(found)
    return found.exit_status


def _explored(found: api.Explored, json: bool) -> int:
    tell_page(found)
    print_json(found.summary()) if json else show_explored(found)
    return found.exit_status


def _show(found: api.Merged) -> None:
    for row in found.outcome.rows:
        if row.reason:
            word, _, layer = row.verdict.partition(" ")
            where = f" [{layer}]" if layer else ""
            print(ci.shown(f"{word} {row.lab}{where}: {row.reason}"))
    header, rows = found.table()
    print(escape_lines(table(rows, header=header)))
    print(f"{found.outcome.passed} of {len(found.outcome.rows)} passed")
    for one in found.differing:
        print(ci.shown(str(one)))
    say(f"table and JUnit file: {short(found.folder)}/table.md, junit.xml")
