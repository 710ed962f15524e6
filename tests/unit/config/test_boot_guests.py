"""Guests that Xen boots, and labs without dom0: what does not go together is said at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import config, plan
from lab.errors import ConfigError, UsageError
from lab.model import Clock, Labs

GUESTS = """\
guests:
  early: {freertos: app, start: device-tree}
  ours: {freertos: app}
  traced: {freertos: app, start: device-tree, trace: true}
  pinned: {freertos: app, start: device-tree, cpus: [0]}
  early2: {freertos: app, start: device-tree}
  early3: {freertos: app, start: device-tree}
  early4: {freertos: app, start: device-tree}
labs:
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "app").mkdir()


def load(labs: str) -> Labs:
    Path("labs.yaml").write_text(GUESTS + labs)
    return config.load(Path("labs.yaml"))


def test_nobody_injects_what_xen_creates() -> None:
    labs = load("  l: {guests: [ours]}\n")
    assert config.find_guest(labs, "ours", into="l").name == "ours"
    with pytest.raises(UsageError, match="'early' has 'start: device-tree': Xen creates it at b"):
        config.find_guest(labs, "early", into="l")


@pytest.mark.parametrize(
    ("lab", "said"),
    [
        ("{dom0: false, guests: [ours]}", "8: guest 'ours' needs dom0, and lab 'l' has none"),
        ("{dom0: false, guests: [early, traced]}", "4:47: 'trace' needs dom0"),
        ("{dom0: false, guests: [pinned]}", "5:47: 'cpus' needs dom0"),
        ("{dom0: false, guests: [early], trace: {xen: [sched]}}", "'trace' needs dom0"),
        ("{dom0: false, guests: [early], steps: [{exec: xl list}]}", "'exec' needs dom0"),
        ("{dom0: false, guests: [early], steps: [{inject: ours}]}", "'inject' needs dom0"),
        (
            "{dom0: false, guests: [early], steps: [{parallel: [{pause: early}]}]}",
            "'pause' needs dom0",
        ),
        ("{dom0: false, guests: [early], expect: [{on: dom0, line: x}]}", "has no dom0"),
        ("{dom0: false}", "lab 'l' has neither dom0 nor guests"),
        ("{guests: [ours], steps: [{inject: early}]}", "it cannot be injected"),
        ("{guests: [early], steps: [{restart: early}]}", "it cannot be restarted"),
        (
            "{dom0: false, guests: [early, early2, early3, early4], steps: [{type: x, on: early}]}",
            "to 3 guests with 'start: device-tree' at most, and the lab has 4",
        ),
        ("{dom0: false, guests: [early], steps: [{wait: x, on: dom0}]}", "has no dom0"),
        ("{dom0: false, guests: [early], steps: [{type: x, on: dom0}]}", "has no dom0"),
        ("{dom0: perhaps, guests: [early]}", "'dom0' must be a mapping"),
    ],
)
def test_what_does_not_go_together(lab: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(f"  l: {lab}\n")
    assert said.removeprefix("8: ") in caught.value.message
    assert "labs.yaml:" in caught.value.message


def test_a_word_that_start_does_not_know() -> None:
    Path("labs.yaml").write_text("guests: {a: {freertos: app, start: xl}}\nlabs: {l: {}}\n")
    with pytest.raises(ConfigError, match="start"):
        config.load(Path("labs.yaml"))


@pytest.mark.parametrize(
    ("cmdline", "right"),
    [
        ("console=hvc0", False),
        ("quiet console=hvc0 root=/dev/ram", False),
        ("console=ttyAMA0", True),
        ("console=hvc0 console=ttyAMA0", True),
        ("quiet", True),
    ],
)
def test_a_console_that_nobody_would_read(cmdline: str, right: bool) -> None:
    """A guest that Xen boots has no ring, only a PL011."""
    Path("vmlinuz").write_bytes(b"x")
    Path("labs.yaml").write_text(
        "guests:\n"
        f"  a: {{kernel: vmlinuz, start: device-tree, cmdline: {cmdline}}}\n"
        "labs: {l: {guests: [a]}}\n"
    )
    if right:
        config.load(Path("labs.yaml"))
        return
    with pytest.raises(ConfigError, match=r"labs\.yaml:2:\d+: 'console=hvc0' is Xen's ring"):
        config.load(Path("labs.yaml"))


def test_the_command_line_of_a_linux_guest_names_the_console_that_it_has() -> None:
    labs = "guests:\n  a: {linux: app, start: device-tree}\n  b: {linux: app, cmdline: x=1}\n"
    Path("app/init").write_text("#!/bin/busybox sh\n")
    Path("labs.yaml").write_text(labs + "labs: {l: {guests: [a, b]}}\n")
    early, late = plan.plan(config.load(Path("labs.yaml")).labs["l"]).guests
    assert early.cmdline.startswith("console=ttyAMA0 ")
    assert late.cmdline.startswith("console=hvc0 ")
    assert late.cmdline.endswith(" x=1")


def test_a_share_of_the_scheduler_needs_dom0() -> None:
    Path("labs.yaml").write_text(
        "guests: {a: {freertos: app, start: device-tree, scheduler: {weight: 3}}}\n"
        "labs: {l: {guests: [a], dom0: false}}\n"
    )
    with pytest.raises(ConfigError, match="'scheduler' needs dom0"):
        config.load(Path("labs.yaml"))


def test_the_plan_of_a_lab_without_dom0() -> None:
    """Nothing of dom0 is in it, and its memory counts for nobody."""
    labs = load("  l: {dom0: false, memory: 256M, guests: [early]}\n")
    found = plan.plan(labs.labs["l"], clock=Clock.VIRTUAL)
    assert found.consoles == ("xen", "early")
    assert found.dom0_args == ""
    assert "dom0" not in found.xen_args.replace("dom0=", "")
    assert "conswitch=ax" in found.xen_args
    assert [one.name for one in found.booted] == ["early"]
    assert found.created == ()


def test_other_labs_are_as_before() -> None:
    found = plan.plan(load("  l: {guests: [ours]}\n").labs["l"])
    assert "conswitch" not in found.xen_args
    assert found.booted == ()


STATIC = """\
hypervisors:
  static: {from: source, kconfig: x.config}
guests:
  a: {freertos: app, start: device-tree, static_memory: "0x60000000"}
  b: {freertos: app, start: device-tree, static_memory: "0x60800000"}
  low: {freertos: app, start: device-tree, static_memory: "0x48000000"}
  high: {freertos: app, start: device-tree, static_memory: "0x7f800000", direct_map: true}
  ours: {freertos: app, static_memory: "0x60000000"}
  mapped: {freertos: app, start: device-tree, direct_map: true}
  odd: {freertos: app, start: device-tree, static_memory: "0x60000400"}
labs:
"""


@pytest.mark.parametrize(
    ("guests", "hypervisor", "said"),
    [
        ("a, b", "static", "5:57: lab 'l': 0x60800000 to 0x61800000 overlaps guest 'a'"),
        ("low", "static", "6:59: lab 'l': 0x48000000 to 0x49000000 is not in the part"),
        ("high", "static", "7:60: lab 'l': 0x7f800000 to 0x80800000 is not in the part"),
        ("a", "stock", "4:57: lab 'l': hypervisor 'stock' has no static memory"),
        ("ours", "static", "'static_memory' is not allowed here: it goes with 'start"),
        ("mapped", "static", "'direct_map' is not allowed here: it goes with 'static_memory'"),
        ("odd", "static", "is no address of a whole MiB"),
    ],
)
def test_static_memory_that_cannot_be(guests: str, hypervisor: str, said: str) -> None:
    """Each at its line; Xen itself would only panic."""
    names = guests.split(", ")
    kept = [line for line in STATIC.splitlines() if not line.startswith("  ")
            or line.split(":")[0].strip() in (*names, "static")]  # fmt: skip
    lines = [line if line in kept else "#" for line in STATIC.splitlines()]
    Path("x.config").write_text("CONFIG_UNSUPPORTED=y\nCONFIG_STATIC_MEMORY=y\n")
    lab = f"  l: {{hypervisor: {hypervisor}, guests: [{guests}]}}\n"
    Path("labs.yaml").write_text("\n".join(lines) + "\n" + lab)
    with pytest.raises(ConfigError) as caught:
        config.load(Path("labs.yaml"))
    assert said in caught.value.message


def test_what_can_be_typed_to() -> None:
    """Up to three guests, with dom0 and without; Enter is not Xen's key."""
    steps = "steps: [{type: x, on: early}, {wait: x, on: early}]"
    for lab in ("guests: [early, early2, early3, ours]", "dom0: false, guests: [early]"):
        (step, _) = load(f"  l: {{{lab}, {steps}}}\n").labs["l"].steps
        assert (step.do, step.on) == ("type", "early")
