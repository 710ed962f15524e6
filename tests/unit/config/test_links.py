"""Channels and shared memory of guests that Xen boots: what Xen would panic of has a place."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import config
from lab.errors import ConfigError
from lab.model import Channel, Lab, SharedMemory

HEAD = """\
hypervisors:
  shm: {from: source, kconfig: x.config}
  debug: {from: source}
guests:
  a: {freertos: app, start: device-tree}
  b: {freertos: app, start: device-tree}
  c: {freertos: app, start: device-tree, static_memory: "0x60000000"}
  big: {freertos: app, start: device-tree, memory: 400M}
  mapped: {freertos: app, start: device-tree, static_memory: "0x60000000", direct_map: true}
  other: {kernel: vmlinuz, start: device-tree}
  ours: {freertos: app}
labs:
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    Path("app").mkdir()
    Path("x.config").write_text(
        "CONFIG_UNSUPPORTED=y\nCONFIG_STATIC_MEMORY=y\nCONFIG_STATIC_SHM=y\n"
    )


def load(lab: str) -> Lab:
    Path("labs.yaml").write_text(f"{HEAD}  l:\n{lab}")
    return config.load(Path("labs.yaml")).labs["l"]


def test_what_is_right_is_read() -> None:
    found = load(
        "    hypervisor: shm\n"
        "    guests: [a, b, mapped, other]\n"
        "    channels: [{port: 10, guests: [a, b]}, {port: 1000, guests: [other, other]}]\n"
        "    shared_memory: [{name: box, address: 0x70000000, size: 2M, guests: [a, mapped]}]\n"
        .replace("[other, other]", "[other, mapped]").replace("1000", "31")
    )  # fmt: skip
    assert found.channels == (Channel(10, ("a", "b")), Channel(31, ("other", "mapped")))
    assert found.shared_memory == (SharedMemory("box", 0x70000000, 2 << 20, ("a", "mapped")),)


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ("{port: 10, guests: [a]}", "16:35: an event channel connects two guests"),
        ("{port: 10, guests: [a, b, c]}", "16:35: an event channel connects two guests"),
        ("{port: 10, guests: [a, a]}", "16:39: guest 'a' is in the list twice"),
        ("{port: 10, guests: [a, bb]}", "16:39: lab 'l' starts no guest 'bb'; did you mean 'b'?"),
        ("{port: 10, guests: [a, ours]}", "guest 'ours' needs 'start: device-tree'"),
        ("{port: 1, guests: [a, b]}", "'1' is not a number from 2 to 1023"),
        ("{port: 32, guests: [a, b]}", "16:23: guest 'a': the FreeRTOS port knows ports up to 31"),
        (
            "{port: 9, guests: [a, b]}, {port: 9, guests: [b, c]}",
            "16:50: guest 'b' has a channel at port 9 already",
        ),
        ("{guests: [a, b]}", "'port' is missing"),
    ],
)
def test_a_channel_that_cannot_be(channel: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(f"    hypervisor: shm\n    guests: [a, b, c, ours]\n    channels: [{channel}]\n")
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("memory", "said"),
    [
        ("address: 0x70000000, size: 1500K", "1500K is not a whole number of mebibytes"),
        ("address: 0x70000400, size: 1M", "'0x70000400' is no address of a whole MiB"),
        ("address: 0x48000000, size: 1M", "is not in the part of the machine's memory"),
        ("address: 0x7ff00000, size: 2M", "is not in the part of the machine's memory"),
        ("address: 0x60f00000, size: 2M", "overlaps the static memory of guest 'c'"),
        ("address: 0x58000000, size: 1M", "overlaps the memory, as it sees it, of guest 'big'"),
    ],
)
def test_shared_memory_that_has_no_place(memory: str, said: str) -> None:
    """In the machine, or where a guest sees its own memory."""
    with pytest.raises(ConfigError) as caught:
        load(
            "    hypervisor: shm\n    guests: [a, c, big]\n"
            f"    shared_memory: [{{name: box, {memory}, guests: [a, big]}}]\n"
        )
    assert said in caught.value.message
    assert "labs.yaml:16:" in caught.value.message


def test_shared_memory_without_guests() -> None:
    memory = "{name: box, address: 0x70000000, size: 2M, guests: []}"
    with pytest.raises(ConfigError, match=r"16:\d+: no guest would see this memory"):
        load(f"    hypervisor: shm\n    guests: [a]\n    shared_memory: [{memory}]\n")


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("name: box, address: 0x71000000", "there is shared memory 'box' already"),
        ("name: two, address: 0x70100000", "overlaps 'box', which is 0x70000000 to 0x70200000"),
        ("name: longer-than-xen-allows, address: 0x71000000", "names of at most 15 characters"),
    ],
)
def test_two_that_do_not_go_together(second: str, said: str) -> None:
    """One name, one place, one size: Xen refuses anything else, and panics."""
    with pytest.raises(ConfigError) as caught:
        load(
            "    hypervisor: shm\n    guests: [a, b]\n    shared_memory:\n"
            "      - {name: box, address: 0x70000000, size: 2M, guests: [a, b]}\n"
            f"      - {{{second}, size: 2M, guests: [a, b]}}\n"
        )
    assert said in caught.value.message
    assert "labs.yaml:18:" in caught.value.message


@pytest.mark.parametrize(
    ("hypervisor", "said"),
    [
        ("stock", "hypervisor 'stock' is Debian's package, which is built without shared memory"),
        ("debug", "hypervisor 'debug' is built without shared memory: it needs CONFIG_UNSUPPORTED"),
    ],
)
def test_a_hypervisor_without_shared_memory(hypervisor: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(
            f"    hypervisor: {hypervisor}\n    guests: [a, b]\n"
            "    shared_memory: [{name: box, address: 0x70000000, size: 2M, guests: [a, b]}]\n"
        )
    assert said in caught.value.message
    assert "labs.yaml:16:" in caught.value.message
