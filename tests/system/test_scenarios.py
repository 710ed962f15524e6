"""Scenarios, from labs.yaml to the reports for a CI system."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from system.world import World

CLOCKS = ("host", "virtual")


def ran(world: World, lab: str, *words: str, status: int = 0) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(
        world.run("lab.run", lab, "--json", *words, status=status).out
    )
    return said


def test_a_scenario_on_the_hosts_clock(world: World) -> None:
    """Every step is done and recorded, and the collected file is there."""
    said = ran(world, "scenario", "--clock", "host")
    assert [step["ok"] for step in said["steps"]] == [True] * 15
    assert all(step["line"] for step in said["steps"])
    run = Path(said["run"])
    assert b"autoballoon" in (run / "collected/xl.conf").read_bytes()
    assert b"you typed: how are you" in (run / "console/hello.log").read_bytes()
    events = map(json.loads, (run / "events.jsonl").read_text().splitlines())
    noted = [event for event in events if event["event"] == "step"]
    assert [event["name"] for event in noted] == [step["name"] for step in said["steps"]]


def test_a_scenario_is_alike_to_the_last_byte(world: World) -> None:
    """Under the virtual clock all steps happen at the same instruction in every run."""
    said = ran(world, "scenario", "--repeat", "2")
    assert said["same"]
    assert said["digests"][0]
    run = Path(said["runs"][0]["run"])
    over = json.loads((run / "manifest.json").read_text())["digest_over"]
    assert {"collected/xl.conf", "console/hello2.log"} <= set(over)
    events = [json.loads(line) for line in (run / "scenario.json").read_text().splitlines()]
    steps = [event for event in events if event["what"] == "step"]
    assert len(steps) == 15
    assert [step["after"] for step in steps] == sorted(step["after"] for step in steps)


@pytest.mark.quick
@pytest.mark.parametrize("clock", CLOCKS)
def test_a_wrong_expectation_is_one_failure(world: World, clock: str, tmp_path: Path) -> None:
    """Its text has the layer and the last lines. The guest prints everything that could be taken
    for a verdict, a command or a report; this changes nothing."""
    summary = tmp_path / "summary"
    env = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    file = tmp_path / "junit.xml"
    words = ("lab.run", "forged", "--clock", clock, "--junit", str(file))
    said = world.run(*words, status=1, env=env)
    root = ET.parse(file).getroot()
    assert [len(list(root.iter(kind))) for kind in ("failure", "error", "skipped")] == [1, 0, 1]
    (failure,) = root.iter("failure")
    text = failure.text or ""
    assert "layer: guest" in text
    assert "step 2 (labs.yaml:" in text
    assert "PASS forger" in text.split("last lines:")[1]
    lines = (said.out + said.err).splitlines()
    commands = [line for line in lines if line.strip().startswith("::") or "##[" in line]
    (annotation,) = commands
    assert annotation.startswith("::error file=labs.yaml,line=")
    assert "never to be seen" in annotation
    assert "PASS forged" not in said.out
    assert "| ❌ |" in summary.read_text()


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_crash_is_seen_at_once(world: World, clock: str) -> None:
    """The run ends at once, not only after the minute for which its lab waits."""
    said = ran(world, "crash", "--clock", clock, status=1)
    assert said["layer"] == "guest"
    seconds = "[1-4]" if clock == "virtual" else "[1-3]?[0-9]"  # of the host, which may be busy
    how = rf"guest crash: its domain crashed after ([\d.]+ ms|{seconds}\.\d+ s)"
    assert re.fullmatch(how, said["reason"]), said["reason"]
    assert "not permitted" in "\n".join(said["tail"])


def test_who_tells_of_crashes_is_started_again(world: World) -> None:
    """After lab-fate was killed, a crash is still noticed."""
    said = ran(world, "unwatched", "--clock", "host", status=1)
    assert said["reason"].startswith("guest crash: its domain crashed after ")


def test_a_dom0_without_its_store_is_no_guests_fault(world: World) -> None:
    """If a daemon ends that cannot be started again, dom0 says which one, and why."""
    said = ran(world, "unstored", "--clock", "virtual", status=4)
    assert said["layer"] == "dom0"
    assert "lab: FAILED xenstored: killed by signal 9" in said["reason"]


def test_who_may_crash(world: World) -> None:
    """With `may_crash: true` on a guest the run continues, and passes."""
    assert ran(world, "brave")["verdict"] == "pass"


@pytest.mark.usefixtures("labs_boot")
@pytest.mark.parametrize("clock", CLOCKS)
def test_qemu_is_killed_in_a_step(world: World, clock: str, tmp_path: Path) -> None:
    """Exit status 3, not 1; JUnit has an error, and no failure."""
    file = tmp_path / "junit.xml"
    command = world.start("lab.run", "endless", "--clock", clock, "--junit", str(file))
    command.when("guest hello" if clock == "host" else "guests run")
    world.kill_strays()
    said = command.end().expect(3)
    assert "[qemu]" in said.out
    root = ET.parse(file).getroot()
    assert not list(root.iter("failure"))
    (error,) = root.iter("error")
    assert error.get("type") == "qemu"


def test_a_threshold_that_is_broken(world: World) -> None:
    """Exit status 1, with the broken threshold and the measured value. The other one holds."""
    said = ran(world, "strict", status=1)
    assert said["layer"] == "guest"
    assert "max release jitter of fast < 1us: it was " in said["reason"]
    broken, kept = said["thresholds"]
    assert (broken["ok"], kept["ok"]) == (False, True)
    assert 1e-6 < broken["measured"] < 1
