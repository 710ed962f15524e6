"""Schedulers of labs.yaml: chosen, completed, and refused if they are impossible."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_files import zimage

from lab import config
from lab.errors import ConfigError, UsageError
from lab.model import Lab, Labs, Scheduling

HEAD = """\
hypervisors:
  debug: {from: source, kconfig: debug.config}
  plain: {from: source}
  old: {from: source, kconfig: [debug.config, more.config]}
guests:
  g: {kernel: g.bin}
  h: {kernel: g.bin, scheduler: {name: rtds, period: 20ms, budget: 2ms}}
  loud: {freertos: app, emergency_console: true}
labs:
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "g.bin").write_bytes(zimage())
    (tmp_path / "app").mkdir()
    (tmp_path / "more.config").write_text("CONFIG_SCHED_ARINC653=y\n")
    (tmp_path / "debug.config").write_text("CONFIG_DEBUG=y\n# CONFIG_SCHED_ARINC653 is not set\n")
    return tmp_path


def labs(folder: Path, lab: str) -> Labs:
    (folder / "labs.yaml").write_text(f"{HEAD}  one: {lab}\n")
    return config.load(folder / "labs.yaml")


def load(folder: Path, lab: str) -> Lab:
    return labs(folder, lab).labs["one"]


def refused(folder: Path, lab: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, lab)
    return caught.value.message.replace(f"{folder}/", "")


def test_a_word_is_enough(folder: Path) -> None:
    lab = load(folder, "{hypervisor: debug, scheduler: rtds, guests: [g]}")
    assert lab.scheduler == "rtds"
    assert lab.guests[0].scheduler == Scheduling("rtds")


def test_share_of_the_lab_is_for_guests_without_one(folder: Path) -> None:
    lab = load(
        folder,
        "{hypervisor: debug, scheduler: {name: rtds, period: 10ms, budget: 1ms}, guests: [g, h], "
        "dom0: {scheduler: {period: 10ms, budget: 5ms, extratime: false}}}",
    )
    g, h = lab.guests
    assert g.scheduler == Scheduling("rtds", 0.010, 0.001)
    assert h.scheduler == Scheduling("rtds", 0.020, 0.002)
    assert lab.dom0.scheduler == Scheduling("rtds", 0.010, 0.005, False)


def test_guests_choose_if_nobody_else_does(folder: Path) -> None:
    assert load(folder, "{hypervisor: debug, guests: [h]}").scheduler == "rtds"
    assert load(folder, "{hypervisor: debug, guests: [g]}").scheduler == ""


def test_credit_has_weight_and_cap_and_needs_no_other_xen(folder: Path) -> None:
    lab = load(folder, "{scheduler: {weight: 512, cap: 50}, guests: [g]}")
    assert lab.guests[0].scheduler == Scheduling("credit2", weight=512, cap=50)


REFUSED = {
    "unknown": ("{scheduler: fifo, guests: [g]}", "'name': unknown value 'fifo'; choose from"),
    "not in the packaged one": (
        "{scheduler: rtds, guests: [g]}",
        "10:20: lab 'one': hypervisor 'stock' has no scheduler rtds, only credit, credit2; "
        "these hypervisors have it: 'debug', 'old'",
    ),
    "not in a plain one": ("{hypervisor: plain, scheduler: null}", "'plain' has no scheduler null"),
    "taken out": (
        "{hypervisor: debug, scheduler: arinc653}",
        "these hypervisors have it: 'old'",
    ),
    "guest's, in the packaged one": ("{guests: [h]}", "7:33: lab 'one': hypervisor 'stock' has no"),
    "guest's of another": (
        "{hypervisor: debug, scheduler: credit, guests: [h]}",
        "7:40: lab 'one' runs the scheduler credit, not rtds",
    ),
    "parameter of another": (
        "{hypervisor: debug, scheduler: {name: rtds, weight: 3}}",
        "10:52: lab 'one' runs the scheduler rtds, which has no parameter 'weight'; "
        "its parameters: period, budget, extratime",
    ),
    "half a share": (
        "{hypervisor: debug, scheduler: {name: rtds, period: 3ms}}",
        "'budget' is missing",
    ),
    "budget beyond period": (
        "{hypervisor: debug, scheduler: {name: rtds, period: 3ms, budget: 4ms}}",
        "10:73: 'budget': must not be longer than the period",
    ),
    "too small": (
        "{hypervisor: debug, scheduler: {name: rtds, period: 3ms, budget: 0.001ms}}",
        "at least 0.01ms",
    ),
    "more than there is": (
        "{hypervisor: debug, scheduler: {name: rtds, period: 10ms, budget: 7ms}, guests: [g]}",
        "rtds would promise 1.10 CPUs, but there are only 1",
    ),
    "dom0's, too much": (
        "{hypervisor: debug, scheduler: rtds, dom0: {scheduler: {period: 1ms, budget: 1ms}}, "
        "guests: [g]}",
        "rtds would promise 1.40 CPUs",
    ),
    "null without CPUs": (
        "{hypervisor: debug, scheduler: null, cpus: 2, guests: [g]}",
        "but 3 vCPUs (2 of dom0): under null each needs its own CPU",
    ),
    "no schedule": (
        "{hypervisor: old, scheduler: arinc653, guests: [g]}",
        "10:37: lab 'one': under arinc653 guests do not run until a schedule is set",
    ),
    "nobody can see it": (
        "{guests: [loud]}",
        "8:44: lab 'one': hypervisor 'stock' lets no guest print on its console; use 'debug' or",
    ),
    "unknown key": ("{scheduler: {nam: rtds}}", "unknown key 'nam'; did you mean 'name'?"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_at_its_place(folder: Path, name: str) -> None:
    lab, words = REFUSED[name]
    assert words in refused(folder, lab)


def test_arguments_of_the_hypervisor_and_the_lab_agree(folder: Path) -> None:
    text = HEAD.replace("debug.config}", "debug.config, args: sched=null}")
    (folder / "labs.yaml").write_text(f"{text}  one: {{hypervisor: debug, scheduler: rtds}}\n")
    with pytest.raises(ConfigError, match="'args' of hypervisor 'debug' override this with null"):
        config.load(folder / "labs.yaml")


def test_injected_guest_takes_the_share_that_the_lab_gives(folder: Path) -> None:
    found = labs(
        folder,
        "{hypervisor: debug, scheduler: {name: rtds, period: 8ms, budget: 1ms}, guests: [g]}",
    )
    assert config.find_guest(found, "g", into="one").scheduler == Scheduling("rtds", 0.008, 0.001)
    assert config.find_guest(found, "h", into="one").scheduler == Scheduling("rtds", 0.020, 0.002)
    assert config.find_guest(found, "g").scheduler is None


def test_injected_guest_with_a_share_for_another_scheduler(folder: Path) -> None:
    found = labs(folder, "{guests: [g]}")
    with pytest.raises(UsageError, match="parameters for a scheduler other than credit2"):
        config.find_guest(found, "h", into="one")
