"""What the debugger refuses before anything starts, and which hypervisors a lock has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab import plan as planning
from lab.api import Context, DebugOptions, Moment, drift, travel
from lab.errors import UsageError
from lab.model import ARM32, ARM64, Clock, HypervisorSpec, Lab, Labs
from lab.run import crash_cores

STOCK = HypervisorSpec("stock")


def test_a_run_of_arm64_is_named_though_its_lab_is_now_one_of_arm32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--arch`` had made it one of arm64."""
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "labs.yaml").write_text("labs:\n  one: {}\n")
    run = tmp_path / "runs/one/20260101-000000-aaaa"
    run.mkdir(parents=True)
    manifest = {"lab": "one", "clock": "virtual", "arch": "arm64"}
    (run / "manifest.json").write_text(json.dumps(manifest))
    context = Context(tmp_path / "labs.yaml")
    with pytest.raises(UsageError, match="does not know labs of arm64"):
        travel(context, "one/20260101-000000-aaaa", Moment(at="1s"), DebugOptions())


@pytest.mark.parametrize(
    ("lab", "clock", "words"),
    [
        (Lab("one", STOCK), Clock.HOST, "no core files on the host's clock"),
        (Lab("one", STOCK, cpus=2), Clock.VIRTUAL, "no core files of a machine with several CPUs"),
        (Lab("one", STOCK, without_dom0=True), Clock.VIRTUAL, "no core files in a lab without"),
        (Lab("one", STOCK, arch=ARM64), Clock.VIRTUAL, "does not know labs of arm64"),
    ],
)
def test_cores_are_refused_where_none_is_kept(lab: Lab, clock: Clock, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        crash_cores.check(planning.plan(lab, clock=clock))


def test_cores_are_kept_on_one_cpu() -> None:
    crash_cores.check(planning.plan(Lab("one", STOCK), clock=Clock.VIRTUAL))


def test_a_hypervisor_of_no_lab_is_locked_if_debian_has_it() -> None:
    new = HypervisorSpec("new", release="4.20")
    known = {"stock": STOCK, "new": new}
    labs = Labs(Path("labs.yaml"), known, {}, {"one": Lab("one", STOCK)})
    assert drift.unused(labs, ARM32) == []
    assert drift.unused(labs, ARM64) == [new]
