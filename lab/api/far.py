"""Runs labs on a cluster instead of here, for a context that names one."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import pickle
import secrets
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import rundir
from lab.api import replaying
from lab.api.context import Context
from lab.api.results import Run
from lab.api.tree_variant import TreeVariant
from lab.errors import LabError, UsageError
from lab.model import Clock, Plan
from lab.run import commands
from lab.rundir import RunDir
from lab.scenario import Report, thresholds

if TYPE_CHECKING:
    from lab.cluster.client import Connection
    from lab.cluster.contents import Contents
    from lab.cluster.task import CameBack

#: How the line begins with which a verdict says how to debug its failure.
_IN_GDB = "in GDB: "
#: The least and the most runs that wait for a cluster at once.
_LEAST, _MOST = 8, 64


@contextlib.contextmanager
def connected(context: Context) -> Iterator[Context]:
    """The context, connected to its cluster, if it has one and is not connected yet.

    Raises:
        UsageError: the address is wrong, or a package is missing.
        LabError: there is no such cluster; or a run that it did twice had two digests.
    """
    if context.cluster is None or context.far is not None:
        yield context
        return
    check_packages()
    from lab.cluster import client, keys

    access = keys.named(context.cluster.address, context.cluster.key)
    with contextlib.ExitStack() as stack:
        with context.progress.stage(f"connecting to {access.address}"):
            connection = stack.enter_context(client.connected(access))
        yield replace(context, far=Far(connection))
        if words := connection.twice():
            raise LabError("; ".join(words), hint="compare the toolchains of these workers")


class Far:
    """Runs labs through a connection. Several threads may use it at the same time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        #: Tells our runs from those of others.
        self._by = secrets.token_hex(4)
        self._contents: dict[str, Contents] = {}
        #: The toolchain that was seen first, by architecture, and the worker that has it.
        self._toolchains: dict[str, tuple[str, str]] = {}
        self._guard = threading.Lock()

    def labs(self) -> int:
        """How many labs the workers that are there now run at once."""
        return self._connection.labs()

    def at_once(self) -> int:
        """How many runs should wait for the cluster at once, so that no worker is idle."""
        return min(_MOST, max(_LEAST, 2 * self._connection.labs()))

    def run(self, context: Context, plan: Plan, clock: Clock | None, *, cold: bool) -> Run:
        """Run a lab. Its run folder comes back into ``runs/``, as if it ran here.

        Raises:
            LabError: as :func:`lab.api.run`; or the cluster cannot run it.
        """
        from lab.cluster import task

        if context.variant and not isinstance(context.variant, TreeVariant):
            raise UsageError("a lab that is changed before it runs cannot run on a cluster")
        sent = self._sent(context, plan)
        order = task.Order(plan.lab.name, f"{self._by}-{next(self._numbers)}",
                           options(context, clock, cold=cold), plan.lab.memory)  # fmt: skip
        with context.progress.stage("on the cluster") as stage:
            came = self._connection.play(task.make(order, sent), sent.parts, stage.note)
            stage.note(f"worker {came.worker}")
        run = _taken(context, plan, came)
        self._compare_toolchain(context, RunDir(run.run), came)
        return run

    def _sent(self, context: Context, plan: Plan) -> Contents:
        """What a lab needs, read once: so all its runs have the same. What a commit needs is read
        each time."""
        from lab.cluster import contents

        if isinstance(variant := context.variant, TreeVariant):
            return contents.gather(context.file, plan.lab, variant.place, variant.sentence)
        with self._guard:
            if plan.lab.name not in self._contents:
                self._contents[plan.lab.name] = contents.gather(context.file, plan.lab)
            return self._contents[plan.lab.name]

    def _compare_toolchain(self, context: Context, run: RunDir, came: CameBack) -> None:
        manifest = run.manifest()
        found = str((manifest.get("toolchain") or {}).get("key", ""))
        if not found:
            return
        with self._guard:
            first, other = self._toolchains.setdefault(
                str(manifest.get("arch")), (found, came.worker)
            )
        if found != first:
            run.update_manifest(other_toolchain=True)
            context.progress.say(
                f"worker {came.worker} has another toolchain ({found[:12]}) than worker {other} "
                f"({first[:12]}): its runs may differ"
            )


def options(context: Context, clock: Clock | None, *, cold: bool) -> dict[str, Any]:
    """What a worker must know of a context to run a lab as it would be run here."""
    return {
        "file": _file_name(context), "clock": clock, "cold": cold,
        "seed": context.seed, "keep": context.keep,
        "arch": context.arch.xen if context.arch else "", "force": context.force,
        "cores": context.cores, "locked": context.strict,
    }  # fmt: skip


def _file_name(context: Context) -> str:
    """What labs.yaml is called: messages of the worker name it. It has other files beside it."""
    name = context.file.name
    return name if name.endswith((".yaml", ".yml")) else commands.LABS


def check_packages() -> None:
    """Check that the engine is there.

    Raises:
        UsageError: it is not.
    """
    if importlib.util.find_spec("distributed") is None:
        words = "a cluster needs the Python package distributed, which is not installed"
        raise UsageError(words, hint="pip install 'xenlab[cluster]'")


def _taken(context: Context, plan: Plan, came: CameBack) -> Run:
    """The run that came back, with its folder among the runs here.

    Raises:
        LabError: the worker could not run it.
    """
    from lab.cluster import contents

    outcome = pickle.loads(came.outcome)
    if isinstance(outcome, LabError):
        outcome.run = None  # it is not here
        outcome.message = f"worker {came.worker}: {outcome.message}"
        raise outcome
    assert isinstance(outcome, Run)
    folder = rundir.new_run(context.runs, plan.lab.name)
    contents.unpack(came.folder, folder.path)
    folder.update_manifest(worker=came.worker)
    return _moved(context, plan, outcome, folder)


def _moved(context: Context, plan: Plan, run: Run, folder: RunDir) -> Run:
    """The run with the places that it has here."""
    report = replace(
        run.report, consoles=folder.consoles(), file=context.file.absolute(),
        line=plan.lab.line or 1,
    )  # fmt: skip
    if isinstance(context.variant, TreeVariant) and context.variant.sentence:
        report = thresholds.unplaced(report)
        folder.update_manifest(reason=report.verdict.reason)
    tail = "\n".join(
        _line(line, context, run.run, folder, report) for line in report.verdict.tail.splitlines()
    )
    verdict = replace(report.verdict, tail=tail)
    return replace(run, report=replace(report, verdict=verdict), run=folder.path)


def _line(line: str, context: Context, there: Path, folder: RunDir, report: Report) -> str:
    """A line of a verdict; its command names the run and the labs.yaml of here."""
    if line.startswith(_IN_GDB):
        return f"{_IN_GDB}{replaying.command(folder, report, context.file)}"
    before, found, after = line.partition(f"lab.core {there.parent.name}/{there.name} --on ")
    if not found:
        return line
    title, name = before.rpartition(": ")[0], after.split()[0]
    return f"{title}: {commands.about('lab.core', folder, context.file, '--on', name)}"
