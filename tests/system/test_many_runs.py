"""Several labs side by side: one table, one report, the same digests as alone; Ctrl-C ends all."""

from __future__ import annotations

import json
import signal
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from lab.rundir import RunDir
from system.world import LONGEST, World, until


@pytest.mark.quick
def test_several_labs_side_by_side(world: World, tmp_path: Path) -> None:
    """Names and patterns; a failure does not end the others, and it decides the exit status."""
    alone = json.loads(world.run("lab.run", "hello", "--json").out)
    report = tmp_path / "all.xml"
    words = ("hello", "hello-[2]", "hello-2", "without-dom0", "--jobs", "2", "--junit", str(report))
    assert "no lab is named 'hello-[2]'" in world.run("lab.run", *words, status=2).err
    words = ("hello", "hello-2", "*hout-dom0", "silent", "--jobs", "2", "--junit", str(report))
    said = world.run("lab.run", *words, status=1)
    rows = [line.split()[:2] for line in said.out.partition("\nLab ")[2].splitlines()[1:5]]
    assert rows == [["hello", "PASS"], ["hello-2", "PASS"], ["without-dom0", "PASS"],
                    ["silent", "FAIL"]]  # fmt: skip
    assert "FAIL silent [guest]" in said.out
    assert "3 of 4 passed" in said.out
    suites = ET.parse(report).getroot().findall("testsuite")
    assert [one.get("name") for one in suites] == ["hello", "hello-2", "without-dom0", "silent"]
    assert [one.get("failures") for one in suites] == ["0", "0", "0", "1"]
    digests = {RunDir(world.folder / f"runs/{name}/latest").manifest()["digest"]
               for name in ("hello", "hello-2")}  # fmt: skip
    assert digests == {alone["digest"]}


def test_shards_give_the_same_table_as_one_run(world: World, tmp_path: Path) -> None:
    """Each shard leaves a folder; the merged outcome is that of one run, and so is the report."""
    names = ("hello", "without-dom0", "hello-2")
    parts = []
    for number in (1, 2, 3):
        said = world.run("lab.run", *names, "--shard", f"{number}/3", "--json")
        parts.append(json.loads(said.out))
    assert [part["shard"] for part in parts] == ["1/3", "2/3", "3/3"]
    folders = [part["folder"] for part in parts]
    report = tmp_path / "all.xml"
    merged = json.loads(world.run("lab.merge", *folders, "--junit", str(report), "--json").out)
    whole = json.loads(world.run("lab.run", *names, "--json").out)
    for row, run in zip(merged["rows"], whole["runs"], strict=True):
        assert (row["name"], row["digest"]) == (run["lab"], run["digest"])
    suites = ET.parse(report).getroot().findall("testsuite")
    assert [one.get("name") for one in suites] == list(names)
    lost = world.run("lab.merge", *folders[:2], status=3).out
    assert "these shards are not here: 3/3" in lost


@pytest.mark.quick
def test_one_lab_in_two_shells(up: World) -> None:
    """Each run has a life of its own, also while the lab is up."""
    commands = [up.start("lab.run", "shared", "--json") for _ in range(2)]
    found = [json.loads(one.end().expect(0).out) for one in commands]
    assert len({one["run"] for one in found}) == 2
    assert len({one["digest"] for one in found}) == 1
    assert "Domain-0" in up.run("lab.exec", "shared", "xl list").out


def test_ctrl_c_ends_all_runs(world: World) -> None:
    """One message, and nothing is left: no machine, no folder of a lab, no room taken."""
    words = ("lab.run", "endless", "endless-2", "endless-3", "--clock", "host", "--jobs", "2")
    command = world.start(*words)
    until(
        "two machines run", lambda: len(set(world.machines().values()) - world.kept) == 2, LONGEST
    )
    said = command.signal(signal.SIGINT).end().expect(130)
    assert said.err.count("nothing that this command started is left running") == 1
    assert not (world.folder / "runs" / "endless-3").exists()
    assert list((world.runtime / "xenlab" / "locks" / "slots.d").iterdir()) == []
    for name in ("endless", "endless-2"):
        assert RunDir(world.folder / f"runs/{name}/latest").manifest()["life"] == "interrupted"


def test_ctrl_c_leaves_the_outcome_of_what_had_ended(world: World) -> None:
    """A table of the labs that have ended, and how many have not."""
    runs = world.folder / "runs" / "endless"
    before = len(list(runs.glob("2*")))
    command = world.start("lab.run", "hello", "endless", "--clock", "host", "--jobs", "1")
    until("the other one begins", lambda: len(list(runs.glob("2*"))) > before, LONGEST)
    said = command.signal(signal.SIGINT).end().expect(130)
    assert "1 of 1 passed; 1 more had not ended" in said.out
    assert "nothing that this command started is left running" in said.err


def test_lab_down_ends_all_lives(world: World) -> None:
    """Of two runs of one lab; each command says who interrupted it."""
    commands = [world.start("lab.run", "endless", "--clock", "host") for _ in range(2)]
    for one in commands:
        one.when("guests run")
    lives = [one["run"] for one in json.loads(world.run("lab.status", "--json").out)
             if one["name"] == "endless" and not one["where"]]  # fmt: skip
    assert len(set(lives)) == 2
    world.run("lab.down", "endless")
    for one in commands:
        assert "interrupted by lab.down" in one.end().expect(130).err
