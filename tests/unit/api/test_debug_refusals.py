"""What the debugger refuses before anything starts, and which hypervisors a lock has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.api import Context, DebugOptions, Moment, drift, travel
from lab.errors import UsageError
from lab.model import ARM32, ARM64, HypervisorSpec, Lab, Labs

STOCK = HypervisorSpec("stock")


def test_a_run_of_arm64_is_executed_on_arm64_though_its_lab_is_now_one_of_arm32(
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
    with pytest.raises(UsageError, match="executed again: changed since"):
        travel(context, "one/20260101-000000-aaaa", Moment(at="1s"), DebugOptions())


def test_a_hypervisor_of_no_lab_is_locked_if_debian_has_it() -> None:
    new = HypervisorSpec("new", release="4.20")
    known = {"stock": STOCK, "new": new}
    labs = Labs(Path("labs.yaml"), known, {}, {"one": Lab("one", STOCK)})
    assert drift.unused(labs, ARM32) == []
    assert drift.unused(labs, ARM64) == [new]
