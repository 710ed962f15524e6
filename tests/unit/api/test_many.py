"""Several labs in one command: which ones, the worst exit status, one report, no lab forgotten."""

from __future__ import annotations

import dataclasses
import itertools
import json
import threading
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from kernel_files import zimage

from lab import api, rundir
from lab.api import beside, lives, many, plans
from lab.errors import BusyError, UsageError
from lab.model import Clock, ExitStatus, Layer, Verdict
from lab.run import live, slots
from lab.scenario import Report, failed

LABS = """
guests: {g: {kernel: k.bin}}
labs:
  sched-b: {guests: [g]}
  hello: {guests: [g]}
  sched-a: {guests: [g]}
"""
PASS = Verdict(True, None, "", ExitStatus.PASS)


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> api.Context:
    monkeypatch.setattr(rundir, "runtime_root", lambda: _made(tmp_path / "xenlab"))
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "k.bin").write_bytes(zimage())
    (tmp_path / "labs.yaml").write_text(LABS)
    return api.Context(tmp_path / "labs.yaml")


def _made(path: Path) -> Path:
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def verdicts(monkeypatch: pytest.MonkeyPatch, by_name: dict[str, Verdict | Exception]) -> None:
    """Let each lab have this verdict, or end with this error."""

    def run(context: api.Context, name: str, **options: Any) -> api.Run:
        assert options == {"clock": None, "cold": False}
        assert slots.held(), "it has room"
        found = by_name[name]
        if isinstance(found, Exception):
            raise found
        return api.Run(Report(name, found), rundir.new_run(context.runs, name).path, {})

    monkeypatch.setattr(many, "run", run)


def test_words_mean_labs(context: api.Context) -> None:
    """A pattern means labs in the order of labs.yaml; each comes once, and copies have names."""
    assert api.select(context, ["sched-*"]) == ["sched-b", "sched-a"]
    assert api.select(context, ["hello", "*"]) == ["hello", "sched-b", "sched-a"]
    assert api.select(context, ["hello-2", "sched-[a]"]) == ["hello-2", "sched-a"]


@pytest.mark.parametrize(
    ("word", "said"),
    [("shed-*", "no lab is named 'shed-*'; did you mean 'sched"), ("helo", "no lab 'helo'")],
)
def test_a_word_that_means_no_lab(context: api.Context, word: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        api.select(context, ["hello", word])
    assert said in caught.value.message


def test_all_run_and_the_worst_decides(
    context: api.Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a lab that could not run at all has a row, a suite and a folder with the reason."""
    xen, guest = failed(Layer.XEN, "panic"), failed(Layer.GUEST, "silent")
    verdicts(monkeypatch, {"sched-b": guest, "hello": xen, "sched-a": PASS})
    options = api.RunOptions(jobs=2, junit=tmp_path / "all.xml")
    found = api.run_many(context, ["sched-b", "hello", "sched-a"], options)
    assert [one.report.lab for one in found.runs] == ["sched-b", "hello", "sched-a"]
    assert (found.passed, found.exit_status) == (1, 4)
    suites = ET.parse(tmp_path / "all.xml").getroot().findall("testsuite")
    assert [suite.get("name") for suite in suites] == ["sched-b", "hello", "sched-a"]
    assert json.loads(json.dumps(found.summary()))["exit_status"] == 4
    assert api.merge(context, [context.runs]).table() == found.table()

    verdicts(monkeypatch, {"hello": BusyError("256 runs live"), "sched-a": xen})
    found = api.run_many(context, ["hello", "sched-a"])
    assert found.exit_status == ExitStatus.USAGE
    manifest = rundir.RunDir(found.runs[0].run).manifest()
    assert (manifest["verdict"], manifest["reason"]) == ("fail", "256 runs live")
    assert slots.held() == []


def test_each_lab_may_run_several_times(
    context: api.Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its runs must have one digest. If not, the first line that differs is named."""
    said = iter(["a", "a", "a", "b"])

    def run(context: api.Context, name: str, *, clock: Clock | None, cold: bool) -> api.Run:
        assert (clock, cold) == (Clock.VIRTUAL, False)
        folder, word = rundir.new_run(context.runs, name), next(said)
        folder.console("g").write_text(f"{word}\n")
        return api.Run(Report(name, PASS), folder.path, {}, word * 64)

    monkeypatch.setattr(many, "run", run)
    options = api.RunOptions(jobs=1, repeat=2, junit=tmp_path / "all.xml")
    found = api.run_many(context, ["hello", "sched-a"], options)
    assert [row.name for row in found.outcome.rows] == ["hello", "hello", "sched-a", "sched-a"]
    assert (found.passed, found.exit_status) == (4, 1)
    (apart,) = found.differing
    assert apart.difference is not None
    assert (apart.one.lab, apart.difference.one, apart.difference.other) == ("sched-a", "a", "b")
    assert "have different digests\n  they differ in console/g.log:1" in str(apart)
    assert found.summary()["differing"] == [apart.summary()]


def test_an_interrupt_leaves_the_outcome_of_what_had_ended(
    context: api.Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(context: api.Context, name: str, **_: object) -> api.Run:
        if name == "sched-a":
            raise KeyboardInterrupt
        return api.Run(Report(name, PASS), rundir.new_run(context.runs, name).path, {})

    monkeypatch.setattr(many, "run", run)
    shown: list[api.Runs] = []
    junit = tmp_path / "all.xml"
    options = api.RunOptions(jobs=1, junit=junit, interrupted=shown.append)
    with pytest.raises(KeyboardInterrupt):
        api.run_many(context, ["hello", "sched-a", "sched-b"], options)
    (known,) = shown
    assert [row.name for row in known.outcome.rows] == ["hello"]
    assert (known.passed, known.not_ended) == (1, 2)
    assert [suite.get("name") for suite in ET.parse(junit).getroot()] == ["hello"]
    merged = api.merge(context, [context.runs])
    assert [row.verdict for row in merged.outcome.rows] == ["PASS", "MISSING", "MISSING"]
    assert known.summary()["not_ended"] == 2
    with pytest.raises(KeyboardInterrupt):  # also if nobody is shown it
        api.run_many(context, ["hello", "sched-a"], api.RunOptions(jobs=1, junit=junit))
    assert junit.exists()


def test_mistakes_are_found_before_the_first_run(
    context: api.Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts(monkeypatch, {})
    for names, options in (
        (["hello", "nosuch"], api.RunOptions()),
        (["hello"], api.RunOptions(jobs=-1)),
        (["hello"], api.RunOptions(junit=tmp_path)),
        (["hello"], api.RunOptions(shard="3/2")),
        (["hello"], api.RunOptions(repeat=0)),
    ):
        with pytest.raises(UsageError):
            api.run_many(context, names, options)
    assert not context.runs.exists()


def test_shards_together_run_each_lab_once(
    context: api.Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the times of earlier runs. A shard without a lab passes."""
    names = ["sched-b", "hello", "sched-a"]
    verdicts(monkeypatch, dict.fromkeys(names, PASS))
    (tmp_path / "times.json").write_text('{"sched-b": 1, "hello": 9, "sched-a": 1}')
    found = [
        api.run_many(context, names, api.RunOptions(shard=f"{number}/4")) for number in range(1, 5)
    ]
    ran = [[row.name for row in one.outcome.rows] for one in found]
    assert ran == [["hello"], ["sched-a"], ["sched-b"], []]
    merged = api.merge(context, [one.folder for one in found])
    whole = api.run_many(context, names)
    assert [row[:5] for row in merged.table()[1]] == [row[:5] for row in whole.table()[1]]


def test_the_room_that_a_run_takes(context: api.Context) -> None:
    """Under the virtual clock QEMU has one thread, however many CPUs the lab has."""
    plan = api.make_plan(context, "hello", Clock.VIRTUAL)
    wide = dataclasses.replace(plan, lab=dataclasses.replace(plan.lab, cpus=3))
    assert beside.room_of(wide).cpus == 1
    host = dataclasses.replace(wide, machine=dataclasses.replace(wide.machine, clock=Clock.HOST))
    assert beside.room_of(host).cpus == 3


@pytest.mark.parametrize(("clock", "most"), [(Clock.VIRTUAL, 3), (Clock.HOST, 2)])
def test_how_many_run_at_a_time(
    context: api.Context, monkeypatch: pytest.MonkeyPatch, clock: Clock, most: int
) -> None:
    """On two processors. Under the virtual clock one more, because a run does not need a processor
    all the time; on the host's clock it must not be late."""
    monkeypatch.setattr(slots, "machine", lambda: slots.Room(2, 1 << 40))
    together, at_once = threading.Barrier(most), list[int]()
    plan = api.make_plan(context, "hello", clock)

    def do(_: api.Context) -> None:
        at_once.append(len(slots.held()))
        together.wait(60)

    works = [beside.Work(f"run {number}", plan, do, str) for number in range(2 * most)]
    beside.run_all(context, works)
    assert max(at_once) == most
    assert slots.held() == []


def test_each_life_has_a_folder_of_its_own(context: api.Context) -> None:
    """None has that of lab.up; commands know all of them as lives of this lab."""
    plan = api.make_plan(context, "hello")
    places = [one.lab for one in plans.intents_of_run(context, plan)]
    ids = {one.id for one in places}
    assert len(ids) == lives.MOST - 1
    assert context.lab_dir("hello").id not in ids
    assert lives.is_of(context, places[1], "hello", None)
    assert not lives.is_of(context, places[1], "sched-a", None)


def test_a_name_means_the_lab_that_is_up(context: api.Context) -> None:
    """If it is not up, the first of its runs; if nothing lives, what lab.up would start."""
    first, second, third = itertools.islice(lives.places(context, "hello"), 3)
    assert lives.current(context, "hello").id == first.id
    for place in (third, second, first):
        with live.claimed(place, "hello", "a test"):
            assert lives.current(context, "hello").id == place.id
            assert [one.preparing.split()[2] for one in api.status(context, "hello")] == ["(a"]
            assert [one.name for one in api.list_labs(context) if one.preparing] == ["hello"]
