"""What a soak counts as growth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.api import Context
from lab.bench import soak
from lab.bench.soak import Sample, grown
from lab.errors import BusyError
from lab.rundir import LabDir

FLAT = Sample(descriptors=6, memory=50 << 20, disk=1 << 30, processes=0)


def test_what_comes_and_goes_is_no_growth() -> None:
    """Noise, one lab that is still ending, or too few samples are no growth."""
    noisy = [replace(FLAT, memory=FLAT.memory + n % 3 * (8 << 20), processes=n % 2)
             for n in range(30)]  # fmt: skip
    assert grown(noisy) == []
    assert grown([FLAT, replace(FLAT, processes=9)]) == []


@pytest.mark.parametrize(
    ("what", "each"), [("descriptors", 1), ("memory", 1 << 20), ("disk", 1 << 20), ("processes", 1)]
)
def test_a_leak_is_named(what: str, each: int) -> None:
    """A little growth with every lab is found."""
    leaking = [replace(FLAT, **{what: getattr(FLAT, what) + n * each}) for n in range(30)]
    found = grown(leaking)
    assert len(found) == 1
    assert found[0].startswith(what)


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "app").mkdir()
    (tmp_path / "labs.yaml").write_text(
        "guests: {hello: {freertos: app}}\nlabs: {hello: {guests: [hello]}}\n"
    )
    return Context(tmp_path / "labs.yaml")


def test_it_takes_a_copy_that_nobody_has(context: Context) -> None:
    """Neither a lab that runs nor the runs of somebody else are touched."""
    assert soak.free_copy(context) == "hello-1"
    (context.runs / "hello-1/20261128-1").mkdir(parents=True)
    assert soak.free_copy(context) == "hello-2"


def test_a_lab_of_somebody_else_is_left_alone(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If somebody starts a lab of that name meanwhile, it is not stopped; the next copy is used."""
    tried: list[str] = []

    def taken(context: Context, lab: str) -> None:
        tried.append(lab)
        (context.runs / lab / "theirs").mkdir(parents=True)
        raise BusyError(f"lab {lab} is started by somebody")

    def stop(_: Context, lab: str) -> None:
        raise AssertionError(f"{lab} must not be stopped")

    def nothing(_: LabDir) -> Sample:
        return FLAT

    monkeypatch.setattr(soak, "WAYS", (taken,))
    monkeypatch.setattr(soak, "down", stop)
    monkeypatch.setattr(soak, "sample", nothing)
    result = soak.soak(context, 2, 0, print)
    assert tried == ["hello-1", "hello-2"]
    assert len(result.failed) == 2
    assert all((context.runs / lab / "theirs").is_dir() for lab in tried)
