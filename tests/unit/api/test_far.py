"""A run that came back from a cluster is like one that ran here."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kernel_files import zimage

from lab import api, rundir
from lab.api import beside
from lab.api.far import Far
from lab.api.plans import make_plan
from lab.api.tree_variant import TreeVariant
from lab.cluster import contents
from lab.cluster.task import CameBack, Task
from lab.errors import MachineError, UsageError
from lab.model import Clock, ExitStatus, Lab, Layer, Threshold, Verdict
from lab.progress import Progress
from lab.scenario import Report, ThresholdResult, thresholds

LABS = """
guests: {g: {kernel: k.bin}}
labs:
  other: {guests: [g]}
  hello: {guests: [g]}
"""
FAIL = Verdict(False, Layer.GUEST, "it said nothing", ExitStatus.GUEST,
               tail="last line\nin GDB: ./inv lab.debug there")  # fmt: skip
LIMIT = "p99 release jitter of fast < 1ms"


class Said(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.words: list[str] = []

    def say(self, text: str) -> None:
        self.words.append(text)


class Worker:
    """Takes the place of a connection: runs nothing, and sends a folder back."""

    def __init__(self, folder: Path, outcome: Any = None) -> None:
        self._folder = folder
        self._outcome = outcome
        self.toolchains = ["aaaa"]
        self.tasks: list[Task] = []

    def labs(self) -> int:
        return 2

    def play(self, task: Task, _parts: Any, _note: Any) -> CameBack:
        self.tasks.append(task)
        folder = self._folder / str(len(self.tasks))
        (folder / "console").mkdir(parents=True)
        (folder / "console/g.log").write_text("it said this\n")
        key = self.toolchains[min(len(self.tasks), len(self.toolchains)) - 1]
        (folder / "manifest.json").write_text(json.dumps({"toolchain": {"key": key}}))
        made = self._outcome or api.Run(Report("hello", FAIL, file=Path("/there")), folder, {})
        return CameBack(pickle.dumps(made), contents.pack(folder), f"w{len(self.tasks)}")


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> api.Context:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "k.bin").write_bytes(zimage())
    (tmp_path / "labs.yaml").write_text(LABS)
    return api.Context(tmp_path / "labs.yaml", progress=Said())


def run(far: Far, context: api.Context) -> api.Run:
    plan = make_plan(context, "hello", Clock.VIRTUAL)
    return far.run(context, plan, Clock.VIRTUAL, cold=False)


def far(worker: Worker) -> Far:
    found: Any = worker
    return Far(found)


def test_it_has_the_places_of_here(context: api.Context, tmp_path: Path) -> None:
    done = run(far(Worker(tmp_path / "there")), context)
    assert done.run.parent == context.runs / "hello"
    assert rundir.latest_run(context.runs, "hello").path == done.run.resolve()  # type: ignore[union-attr]
    assert done.report.consoles == {"g": done.run / "console/g.log"}
    assert (done.report.file, done.report.line) == (context.file, 5)
    assert "there" not in done.report.verdict.tail
    assert rundir.RunDir(done.run).manifest()["worker"] == "w1"


def test_a_worker_knows_how_to_run_it(context: api.Context, tmp_path: Path) -> None:
    """Runs that are otherwise equal have different keys, and equal parts."""
    worker = Worker(tmp_path / "there")
    one = far(worker)
    run(one, replace(context, seed=3, cores=True))
    (tmp_path / "k.bin").write_bytes(zimage() + b"\0" * 512)  # meanwhile: all runs have the same
    run(one, replace(context, seed=3, cores=True))
    first, second = worker.tasks
    assert first.key != second.key
    assert first.labs == second.labs
    wanted = {"clock": "virtual", "seed": 3, "cores": True, "keep": None}
    assert wanted.items() <= first.order.options.items()
    assert first.order.options["file"] == "labs.yaml"
    renamed = replace(context, file=context.file.rename(tmp_path / "my.yml"))
    run(one, renamed)
    assert worker.tasks[-1].order.options["file"] == "my.yml"
    assert first.order.memory == make_plan(renamed, "hello").lab.memory


def test_another_toolchain_is_named(context: api.Context, tmp_path: Path) -> None:
    worker = Worker(tmp_path / "there")
    worker.toolchains = ["aaaa", "aaaa", "bbbb"]
    one = far(worker)
    runs = [run(one, context) for _ in range(3)]
    said = context.progress
    assert isinstance(said, Said)
    assert [one for one in said.words if one.startswith("worker")] == [
        "worker w3 has another toolchain (bbbb) than worker w1 (aaaa): its runs may differ"
    ]
    marks = [rundir.RunDir(done.run).manifest().get("other_toolchain") for done in runs]
    assert marks == [None, None, True]


def test_an_error_names_the_worker(context: api.Context, tmp_path: Path) -> None:
    worker = Worker(tmp_path / "there", MachineError("no memory", hint="free some"))
    with pytest.raises(MachineError, match="worker w1: no memory") as caught:
        run(far(worker), context)
    assert caught.value.hint == "free some"


@pytest.mark.parametrize(("labs", "commits"), [(0, 1), (3, 3), (40, 8)])
def test_as_many_commits_at_a_time_as_the_workers_run(
    context: api.Context, monkeypatch: pytest.MonkeyPatch, labs: int, commits: int
) -> None:
    """Not as many as this machine has processors for."""
    monkeypatch.setattr(beside, "processors", lambda: 4)
    assert beside.compiled(context) == 2
    worker = Worker(Path())
    monkeypatch.setattr(worker, "labs", lambda: labs)
    assert beside.compiled(replace(context, far=far(worker))) == commits


def test_a_changed_lab_is_refused(context: api.Context, tmp_path: Path) -> None:
    def change(lab: Lab) -> Lab:
        return lab

    with pytest.raises(UsageError, match="changed before it runs"):
        run(far(Worker(tmp_path / "there")), replace(context, variant=change))


def test_the_command_for_a_core_file_names_the_run_of_here(
    context: api.Context, tmp_path: Path
) -> None:
    there = tmp_path / "there" / "hello" / "20260101-000000-abcd"
    tail = (
        f"g when it crashed: ./inv lab.core hello/{there.name} --on g --labs /there/labs.yaml\n#0 f"
    )
    made = api.Run(Report("hello", replace(FAIL, tail=tail)), there, {})
    done = run(far(Worker(tmp_path / "there", made)), replace(context, file=Path("labs.yaml")))
    first, *rest = done.report.verdict.tail.splitlines()
    assert first == f"g when it crashed: ./inv lab.core hello/{done.run.name} --on g"
    assert rest == ["#0 f"]


def test_a_limit_of_the_command_is_on_no_line_of_labs_yaml(
    context: api.Context, tmp_path: Path
) -> None:
    limit = Threshold("fast", "release_jitter", 0.001, "p99", line=4)
    broken = (ThresholdResult(limit, 0.002, "it was 2ms"),)
    report = thresholds.judged(Report("hello", Verdict(True)), broken)
    assert report.verdict.reason.startswith("threshold (labs.yaml:4), p99")
    made = api.Run(report, tmp_path / "there", {})
    variant = TreeVariant(tmp_path, tmp_path, (limit,), LIMIT)
    done = run(far(Worker(tmp_path / "there", made)), replace(context, variant=variant))
    assert done.report.verdict.reason == f"threshold, {LIMIT}: it was 2ms"
    assert rundir.RunDir(done.run).manifest()["reason"] == done.report.verdict.reason
