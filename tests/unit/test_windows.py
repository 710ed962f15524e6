"""The schedule of arinc653: read, planned, and refused at its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_files import zimage

from lab import config
from lab import plan as planning
from lab.config import units
from lab.errors import ConfigError, UsageError
from lab.model import Lab, Labs, Schedule, Scheduling, Window

HEAD = """\
hypervisors:
  all: {from: source, kconfig: all.config}
guests:
  a: {kernel: g.bin}
  b: {kernel: g.bin}
  two: {kernel: g.bin, vcpus: 2}
  pinned: {kernel: g.bin, cpus: [0]}
  heavy: {kernel: g.bin, scheduler: {weight: 3}}
labs:
  one:
    hypervisor: all
"""
ZEROS = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "g.bin").write_bytes(zimage())
    (tmp_path / "all.config").write_text("CONFIG_SCHED_ARINC653=y\nCONFIG_SCHED_NULL=y\n")
    return tmp_path


def labs(folder: Path, *lines: str) -> Labs:
    (folder / "labs.yaml").write_text(HEAD + "".join(f"    {line}\n" for line in lines))
    return config.load(folder / "labs.yaml")


def load(folder: Path, *lines: str) -> Lab:
    return labs(folder, *lines).labs["one"]


def scheduler(frame: str, *windows: str) -> str:
    """A line of a lab; a window is ``DOMAIN TIME`` or ``DOMAIN TIME VCPU``."""
    items = []
    for domain, time, *vcpu in (window.split() for window in windows):
        items.append(
            f"{{domain: {domain}, runtime: {time}{''.join(f', vcpu: {n}' for n in vcpu)}}}"
        )
    return f"scheduler: {{name: arinc653, frame: {frame}, windows: [{', '.join(items)}]}}"


def test_one_cpu_is_shared_with_dom0(folder: Path) -> None:
    """Xen boots with the scheduler, and the command has all windows, in nanoseconds."""
    lab = load(folder, scheduler("10ms", "a 2.5ms", "dom0 3ms", "a 500us"), "guests: [a]")
    windows = (Window("a", 0.0025), Window("dom0", 0.003), Window("a", 0.0005))
    assert lab.schedule == Schedule(0.010, windows)
    plan = planning.plan(lab)
    a = planning.uuid("a")
    assert plan.schedule == (
        "lab-arinc653", "0", "10000000", a, "0", "2500000", ZEROS, "0", "3000000",
        a, "0", "500000",
    )  # fmt: skip
    assert plan.pool == ()
    assert " sched=arinc653 " in plan.xen_args
    assert f'uuid = "{a}"' in plan.guests[0].config
    assert "pool" not in plan.guests[0].config


def test_more_cpus_give_the_guests_a_pool_of_their_own(folder: Path) -> None:
    """The last CPU is theirs; dom0 needs no window, and Xen boots with another scheduler."""
    lab = load(
        folder, "cpus: 3", scheduler("5ms", "two 1ms", "two 1ms 1", "b 2ms"), "guests: [two]",
        "steps: [{inject: b}]",
    )  # fmt: skip
    plan = planning.plan(lab)
    assert plan.schedule[:2] == ("lab-arinc653", "1")
    assert plan.pool == (
        ("xl", "cpupool-cpu-remove", "Pool-0", "2"),
        ("xl", "cpupool-create", 'name="arinc653"', 'sched="arinc653"', 'cpus=["2"]'),
    )
    assert " sched=credit2 " in plan.xen_args
    for guest in plan.all_guests:
        assert 'pool = "arinc653"\n' in guest.config


def test_names_have_uuids_of_their_own() -> None:
    assert planning.uuid("dom0") == ZEROS
    assert planning.uuid("a") == planning.uuid("a") != planning.uuid("b")
    assert [len(part) for part in planning.uuid("a").split("-")] == [8, 4, 4, 4, 12]


REFUSED = {
    "no frame": (
        ["scheduler: {name: arinc653, windows: [{domain: dom0, runtime: 1ms}]}"],
        "12:16: 'frame' is missing",
    ),
    "no windows": (["scheduler: {name: arinc653, frame: 1ms}"], "12:16: 'windows' is missing"),
    "empty": ([scheduler("1ms")], "12:16: 'windows' is missing"),
    "another scheduler": (
        ["scheduler: {name: 'null', frame: 1ms}"],
        "12:31: 'frame' is no parameter of the scheduler null of lab 'one'; it belongs to arinc653",
    ),
    "default scheduler": (["scheduler: {frame: 1ms}"], "of the scheduler credit2 of lab 'one'"),
    "too much": (
        [scheduler("10ms", "dom0 4ms", "a 6001us"), "guests: [a]"],
        "12:55: the windows take 10001us, more than the frame of 10ms",
    ),
    "unknown domain": (
        [scheduler("10ms", "dom0 4ms", "c 1ms"), "guests: [a]"],
        "12:95: lab 'one' has no domain 'c'; choose from: a, dom0",
    ),
    "guest of another lab": (
        [scheduler("10ms", "dom0 4ms", "a 1ms", "b 1ms"), "guests: [a]"],
        "lab 'one' has no domain 'b'",
    ),
    "no such vCPU": (
        [scheduler("10ms", "dom0 4ms", "a 1ms", "a 1ms 1"), "guests: [a]"],
        "12:145: a has no vCPU 1: it has 1, counted from 0",
    ),
    "guest without a window": (
        [scheduler("10ms", "dom0 4ms", "a 1ms"), "guests: [a, b]"],
        "12:55: lab 'one': b has no window and would never run",
    ),
    "vCPU without a window": (
        [scheduler("10ms", "dom0 4ms", "two 1ms"), "guests: [two]"],
        "vCPU 1 of two has no window",
    ),
    "guest of a step without a window": (
        [scheduler("10ms", "dom0 4ms"), "steps: [{inject: b}]"],
        "13:12: lab one runs arinc653: b has no window",
    ),
    "dom0 without a window": (
        [scheduler("10ms", "a 1ms"), "guests: [a]"],
        "12:55: lab 'one' has one CPU, so dom0 needs a window, too",
    ),
    "dom0 beside the pool": (
        ["cpus: 2", scheduler("10ms", "a 1ms", "dom0 1ms"), "guests: [a]"],
        "13:92: lab 'one' has 2 CPUs: the schedule is for the last one, and dom0 has the others",
    ),
    "dom0 on the last CPU": (
        ["cpus: 2", scheduler("10ms", "a 1ms"), "guests: [a]", "dom0: {vcpus: 2}"],
        "15:19: under arinc653 the last of the 2 CPUs of lab 'one' is not dom0's",
    ),
    "guest off the last CPU": (
        ["cpus: 2", scheduler("10ms", "pinned 1ms"), "guests: [pinned]"],
        "7:33: under arinc653 the guests of lab 'one' run on CPU 1",
    ),
    "share": (
        [scheduler("10ms", "dom0 4ms", "heavy 1ms"), "guests: [heavy]"],
        "8:38: lab 'one' runs the scheduler arinc653, which has no parameter 'weight'",
    ),
    "window too short": (
        [scheduler("10ms", "dom0 49us")], "12:80: 'runtime': at least 50us",
    ),
    "frame too long": ([scheduler("3s", "dom0 1ms")], "12:40: 'frame': at most 2s"),
    "too many": ([scheduler("10ms", *["dom0 50us"] * 65)], "'windows': Xen takes at most 64"),
    "a guest's": (
        ["guests: [a]", "dom0: {scheduler: {frame: 1ms}}"], "13:24: unknown key 'frame'",
    ),
    "no time": (
        ["scheduler: {name: arinc653, frame: 1ms, windows: [{domain: dom0}]}"],
        "12:55: 'runtime' is missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_at_its_place(folder: Path, name: str) -> None:
    lines, words = REFUSED[name]
    with pytest.raises(ConfigError) as caught:
        load(folder, *lines)
    assert words in caught.value.message.replace(f"{folder}/labs.yaml:", "")


def test_dom0_beside_the_pool_must_not_have_the_same_scheduler(folder: Path) -> None:
    lines = ("cpus: 2", scheduler("10ms", "a 1ms"), "guests: [a]")
    assert load(folder, *lines)
    text = (folder / "labs.yaml").read_text()
    text = text.replace("all.config}", "all.config, args: sched=arinc653}")
    (folder / "labs.yaml").write_text(text)
    with pytest.raises(ConfigError, match="'args' of hypervisor 'all' choose arinc653 for dom0's"):
        config.load(folder / "labs.yaml")


def test_a_frame_without_dom0_may_be_longer(folder: Path) -> None:
    assert load(folder, "cpus: 2", scheduler("3s", "a 1s"), "guests: [a]").schedule


def test_an_injected_guest_needs_a_window(folder: Path) -> None:
    """One that the lab knows from a step has its windows; another one is refused."""
    found = labs(folder, scheduler("9ms", "dom0 4ms", "b 1ms"), "steps: [{inject: b}]")
    assert config.find_guest(found, "b", into="one").scheduler == Scheduling("arinc653")
    with pytest.raises(UsageError, match="lab one runs arinc653: a has no window"):
        config.find_guest(found, "a", into="one")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1.0, "1s"), (0.01, "10ms"), (0.0025, "2500us"), (50e-6, "50us"), (1.5e-6, "1.5us")],
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert units.show_time(seconds) == words


def test_a_lab_without_dom0_is_not_asked_for_a_window_of_dom0(folder: Path) -> None:
    with pytest.raises(ConfigError, match="which needs dom0") as caught:
        load(folder, "dom0: false", scheduler("10ms", "a 2ms"), "guests: [a]")
    assert "dom0 needs a window" not in str(caught.value)
