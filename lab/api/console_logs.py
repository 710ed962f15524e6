"""The output of a lab's consoles, now or in its newest run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lab import config, rundir
from lab.api import lives
from lab.api.context import Context, clean
from lab.errors import UsageError
from lab.machine import console_quota, qemu_process, stamps
from lab.machine.console_text import follow, lines_of, merged
from lab.machine.log_lines import tail
from lab.run import claim, live
from lab.rundir import RunDir
from lab.toolchain import adopt


def logs(context: Context, name: str, on: str | None, following: bool = False) -> Iterator[str]:
    """The lines of the lab's newest run, escaped: of one console, or of all in time order.

    ``following``: continue with new lines until the machine ends.
    """
    clean(context)
    folder = _run_of(context, name)
    found = folder.consoles()
    for loud, count in console_quota.lost(folder).items():
        context.progress.say(f"{loud} printed at least {count} bytes that did not fit into its log")
    if on in (None, "xen") and "xen" in found and stamps.are_wrong(found["xen"]):
        context.progress.say(stamps.NOTICE)
    if on is not None:
        if on not in found:
            known = ", ".join(found) or "none"
            raise UsageError(f"run {folder.path} has no console {on}", hint=f"there are: {known}")
        found = {on: found[on]}
    if following:
        if why := qemu_process.why_stopped(lives.current(context, name).tag):
            context.progress.say(f"{why.message}; {why.hint}")
        lab = live.find(lives.current(context, name))
        return follow(found, adopt(lab.record) if lab and lab.record else None)
    return lines_of(found[on]) if on else merged(found, folder.times_file)


def tails(run: Path, lines: int = 25) -> dict[str, str]:
    """The last lines of every console of a run folder, escaped, by the console's name."""
    return {name: tail(log, lines) for name, log in RunDir(run).consoles().items()}


def _run_of(context: Context, name: str) -> RunDir:
    found = live.find(lives.current(context, name))
    folder = found.run if found else rundir.latest_run(context.runs, name)
    if folder is None:
        config.find_lab(context.labs(), name)
        if command := claim.maker(lives.current(context, name)):
            raise UsageError(f"lab {name} is being prepared by {command}",
                             hint="nothing has been printed yet; wait until it boots")  # fmt: skip
        raise UsageError(f"lab {name} never ran", hint=f"start it: ./inv lab.up {name}")
    return folder
