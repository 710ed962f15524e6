"""Labs on a cluster: its workers, and runs that it does for us."""

from __future__ import annotations

import contextlib
import importlib.util
import pickle
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lab import rundir
from lab.api import played, replaying
from lab.api.context import Context
from lab.api.plans import make_plan
from lab.api.repetition import Repeated
from lab.api.results import Run
from lab.cluster.sizes import Size, Station
from lab.errors import LabError, UsageError
from lab.model import Clock, Plan
from lab.run import digest
from lab.run.hands import refuse
from lab.rundir import RunDir
from lab.store import cache_root
from lab.util import signals

if TYPE_CHECKING:
    from lab.cluster.task import CameBack

#: How the line begins with which a verdict says how to debug its failure.
_IN_GDB = "in GDB: "


@dataclass(frozen=True)
class Cluster:
    """A cluster to use: its address, such as ``tls://192.0.2.1:8786``, and the file of its key.

    Without ``key`` it is ``$LAB_CLUSTER_KEY``, else the key of the clusters that this user starts
    on this machine.
    """

    address: str
    key: str = ""


@dataclass(frozen=True)
class Wanted:
    """A run that a cluster is asked for: a lab, and how it is run."""

    lab: str
    clock: Clock | None = None
    cold: bool = False


def run_on(
    context: Context, cluster: Cluster, wanted: Sequence[Wanted],
    done: Callable[[int, Run], None] = lambda _number, _run: None,
) -> list[Run]:  # fmt: skip
    """Run labs on a cluster. Their run folders come back into ``runs/``, as if they ran here.

    ``done`` is called with the number of each run, from 0, as it comes back. If it raises an
    error, or this is interrupted, the labs that still run on the cluster end.

    Raises:
        ConfigError, UsageError: labs.yaml, a name or the address is wrong.
        LabError: the cluster cannot be used, or nobody in it has room.
    """
    _check_packages()
    from lab.cluster import client, contents, keys, task

    access = keys.named(cluster.address, cluster.key)
    plans = [_plan(context, one) for one in wanted]
    found = {plan.lab.name: contents.gather(context.file, plan.lab) for plan in plans}
    orders = [
        task.Order(one.lab, number, played.options(context, one.clock, cold=one.cold),
                   plan.lab.memory)
        for number, (one, plan) in enumerate(zip(wanted, plans, strict=True))
    ]  # fmt: skip
    sent = [task.make(one, found[one.lab]) for one in orders]
    parts = {sha: part for one in found.values() for sha, part in one.parts.items()}
    runs: dict[int, Run] = {}

    def back(number: int, came: CameBack) -> None:
        runs[number] = _taken(context, plans[number], came)
        done(number, runs[number])

    with context.progress.stage(f"runs on {access.address}") as stage:
        client.play_all(access, sent, parts, back, stage.note)
    return [runs[number] for number in range(len(wanted))]


def repeat_on(
    context: Context, cluster: Cluster, name: str, times: int, *, cold: bool = False
) -> Repeated:
    """Run a lab several times on a cluster, under the virtual clock, and compare the runs.

    Raises:
        UsageError: ``times`` is less than 1. The others are those of :func:`run_on`.
    """
    if times < 1:
        raise UsageError(f"a lab cannot be run {times} times")
    runs = run_on(context, cluster, [Wanted(name, Clock.VIRTUAL, cold)] * times)
    other = next((one for one in runs if one.digest != runs[0].digest), None)
    parted = digest.difference(RunDir(runs[0].run), RunDir(other.run)) if other else None
    return Repeated(tuple(runs), parted)


def cluster_up(size: Size, key: str, ready: Callable[[str, Path], None]) -> None:
    """Have a cluster on this machine until Ctrl-C. ``ready`` gets its address and its key's file.

    Raises:
        UsageError: the address cannot be used, or a package is missing.
        LabError: all its workers have ended.
        KeyboardInterrupt: it was told to stop. Its labs have ended.
    """
    _check_packages()
    from lab.cluster import keys, pool

    file = Path(key) if key else keys.usual()
    with _temporary("cluster-") as folder:
        main = pool.serve(size, file, Path(folder), lambda address: ready(address, file))
        signals.run(main)


def cluster_worker(cluster: Cluster, station: Station, ready: Callable[[str], None]) -> None:
    """Be a worker of a cluster until Ctrl-C. ``ready`` gets the worker's name.

    Raises:
        UsageError: the address is wrong, or a package is missing.
        LabError: the scheduler cannot be reached, or has ended.
        KeyboardInterrupt: it was told to stop. Its labs have ended.
    """
    _check_packages()
    from lab.cluster import keys, worker

    access = keys.named(cluster.address, cluster.key)
    with contextlib.ExitStack() as stack:
        folder = station.folder or Path(stack.enter_context(_temporary("worker-")))
        signals.run(worker.work(access, replace(station, folder=folder), ready))


def _plan(context: Context, wanted: Wanted) -> Plan:
    if context.variant:
        raise UsageError("a lab that is changed before it runs cannot run on a cluster yet")
    clock = wanted.clock or Clock.VIRTUAL
    plan = make_plan(context, wanted.lab, clock, first=wanted.clock is not None)
    refuse(plan)
    return plan


def _taken(context: Context, plan: Plan, came: CameBack) -> Run:
    """The run that came back, with its folder among the runs here.

    Raises:
        LabError: the worker could not run it.
    """
    from lab.cluster import contents

    outcome = pickle.loads(came.outcome)
    if isinstance(outcome, LabError):
        outcome.tail = outcome.tail or f"said on worker {came.worker}"
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
    command = replaying.command(folder, report, context.file)
    tail = "\n".join(
        f"{_IN_GDB}{command}" if line.startswith(_IN_GDB) else line
        for line in report.verdict.tail.splitlines()
    )
    verdict = replace(report.verdict, tail=tail)
    return replace(run, report=replace(report, verdict=verdict), run=folder.path)


def _temporary(prefix: str) -> tempfile.TemporaryDirectory[str]:
    cache = cache_root()
    cache.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix=prefix, dir=cache)


def _check_packages() -> None:
    if importlib.util.find_spec("distributed") is None:
        words = "a cluster needs the Python package distributed, which is not installed"
        raise UsageError(words, hint="pip install 'xenlab[cluster]'")
