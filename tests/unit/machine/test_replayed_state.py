"""What QEMU writes of a machine that replays, and what is made of it."""

from __future__ import annotations

import json

import pytest

from lab.errors import MachineError
from lab.machine import replayed_state
from lab.machine.replayed_state import DESCRIPTION, END, HEAD

#: The machine's configuration, as a stored state begins with it, and its description.
CONFIGURATION = b"\x07\0\0\0\4virt\5\4bits\0\0\0\1\0\0\0\x0c"
DESCRIBED = {
    "configuration": {
        "fields": [
            {"name": "len", "type": "uint32", "size": 4},
            {"name": "name", "type": "buffer", "size": 4},
        ],
        "subsections": [
            {
                "vmsd_name": "bits",
                "version": 1,
                "fields": [{"name": "bits", "type": "uint32", "size": 4}],
            }
        ],
    },
    "devices": [],
}
NUMBER = b"\0\0\0\7"
BEFORE = b"\4\0\0\0\6\5timer\0\0\0\0\0\0\0\2\1\2\3\x7e\0\0\0\6"
AFTER = b"\4\0\0\0\x08\3end\0\0\0\0\0\0\0\1\x7e\0\0\0\x08"


def like() -> bytes:
    """A state that was stored by migration."""
    said = json.dumps(DESCRIBED).encode()
    return HEAD + CONFIGURATION + BEFORE + END + b"\6" + len(said).to_bytes(4, "big") + said


def word(value: int) -> bytes:
    return value.to_bytes(4, "big")


def ports(*numbers: int, which: int | None = None, waits: int = 0) -> bytes:
    """The ports of the device, as it writes them."""
    taken = 1 | sum(1 << one for one in numbers)
    listed = b"".join(word(one) + b"\1\1" + word(waits) for one in numbers)
    return (
        bytes(4) + word(31) + word(taken if which is None else which) + word(len(numbers)) + listed
    )


def device(inside: bytes) -> bytes:
    name = b"virtio-mmio@000000000a000000/virtio-console"
    head = b"\4" + NUMBER + bytes([len(name)]) + name + word(0) + word(3)
    return head + b"rings" + bytes(40) + inside + b"\5\3sub\0\0\0\1" + b"\x7e" + NUMBER


def stored(inside: bytes) -> bytes:
    return HEAD + BEFORE + device(inside) + AFTER + END


@pytest.mark.parametrize("numbers", [(1,), (1, 2, 3, 4, 5), tuple(range(1, 31)), (1, 3)])
def test_the_ports_are_left_out(numbers: tuple[int, ...]) -> None:
    """All else stays: which ports there are must be the same on both sides."""
    found = replayed_state.loadable(stored(ports(*numbers)), like())
    head = ports(*numbers)[:12]
    expected = BEFORE + device(head + word(0)) + AFTER + END
    assert found == HEAD + CONFIGURATION + expected + DESCRIPTION


def test_a_machine_without_such_a_device_is_as_it_was() -> None:
    found = replayed_state.loadable(HEAD + BEFORE + END, like())
    assert found == HEAD + CONFIGURATION + BEFORE + END + DESCRIPTION


@pytest.mark.parametrize(
    "inside",
    [
        b"",
        ports(1, 2, which=0b1011),
        ports(1, 2, waits=1),
        ports(1, 2)[:-3],
        ports(1, 2) + bytes(8) + ports(1, 2),
    ],
    ids=["none", "others", "output waits", "cut", "two"],
)
def test_another_form_is_refused(inside: bytes) -> None:
    with pytest.raises(MachineError, match="ports of dom0 do not have the expected form"):
        replayed_state.loadable(stored(inside), like())


@pytest.mark.parametrize("devices", [b"", b"QEVM\0\0\0\2" + END, HEAD + BEFORE])
def test_what_is_no_state_is_refused(devices: bytes) -> None:
    with pytest.raises(MachineError, match="expected form"):
        replayed_state.loadable(devices, like())


def test_a_state_without_a_configuration_is_refused() -> None:
    with pytest.raises(MachineError, match="cannot be understood"):
        replayed_state.loadable(stored(ports(1)), HEAD + b"\6\0\0\0\2{}")
