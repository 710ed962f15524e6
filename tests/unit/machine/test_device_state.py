"""A stored state that is like QEMU's, with its description, and what is changed in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from lab.errors import MachineError
from lab.machine import device_state
from lab.machine.device_state import CNTHP_CTL, ENABLE, HARD, IDLE, INTERRUPT, NONE, PENDING

#: A register of the CPU that is not the timer's.
OTHER = 0x4020_0000_200F_0800


def field(kind: str, *values: int, name: str) -> tuple[dict[str, Any], bytes]:
    """A field's description and its bytes."""
    size = int(kind.split()[0].removeprefix("uint").removeprefix("int")) // 8
    order: Any = "little" if kind.endswith("le") else "big"
    said: dict[str, Any] = {"name": name, "type": kind, "size": size}
    if len(values) > 1:
        said["array_len"] = len(values)
    return said, b"".join(value.to_bytes(size, order) for value in values)


class State:
    """Puts a state together, device by device."""

    def __init__(self) -> None:
        self.data = bytearray(b"QEVM\0\0\0\3")
        self.said: list[dict[str, Any]] = []

    def device(
        self,
        name: str,
        number: int,
        fields: list[tuple[dict[str, Any], bytes]],
        more: Mapping[str, list[tuple[dict[str, Any], bytes]]] | None = None,
    ) -> None:
        word = (number.to_bytes(4, "big"), (7).to_bytes(4, "big"))
        self.data += b"\x04\0\0\0\5" + bytes([len(name)]) + name.encode() + word[0] + word[1]
        self.data += b"".join(data for _, data in fields)
        subs = []
        for sub, inside in (more or {}).items():
            self.data += b"\x05" + bytes([len(sub)]) + sub.encode() + b"\0\0\0\1"
            self.data += b"".join(data for _, data in inside)
            subs.append({"vmsd_name": sub, "version": 1, "fields": [one for one, _ in inside]})
        self.said.append(
            {
                "name": name,
                "instance_id": number,
                "version": 7,
                "fields": [one for one, _ in fields],
                **({"subsections": subs} if subs else {}),
            }
        )

    def done(self) -> bytes:
        text = json.dumps({"page_size": 4096, "devices": self.said}).encode()
        return bytes(self.data) + b"\0\x06" + len(text).to_bytes(4, "big") + text


def cpu(state: State, number: int, control: int, *, registers: tuple[int, ...] = CNTHP_CTL) -> None:
    """A CPU whose timer's control register has this value, and which waits."""
    state.device(
        "cpu_common",
        number,
        [field("uint32", 1, name="halted"), field("uint32", 0, name="interrupt_request")],
    )
    ids = (OTHER, *registers)
    state.device(
        "cpu",
        number,
        [
            field("int32 le", len(ids), name="cpreg_vmstate_array_len"),
            field("uint64", *ids, name="cpreg_vmstate_indexes"),
            field("uint64", *(9 if one == OTHER else control for one in ids),
                  name="cpreg_vmstate_values"),
        ],
        {"cpu/irq-line-state": [field("uint32", 0, name="env.irq_line_state")]},
    )  # fmt: skip


def gic(state: State, running: tuple[int, int], enabled: int = 3) -> None:
    """An interrupt controller: of each interrupt the CPUs that listen, and three more bytes."""
    inside = [{"name": one, "type": "uint8", "size": 1}
              for one in ("enabled", "pending", "active", "level")]  # fmt: skip
    irqs = {
        "name": "irq_state", "array_len": 32, "type": "struct", "size": 4,
        "struct": {"vmsd_name": "arm_gic_irq_state", "version": 1, "fields": inside},
    }  # fmt: skip
    state.device(
        "arm_gic",
        0,
        [
            (irqs, bytes([enabled, 0, 0, 0]) * 32),
            field("uint16", *running, name="running_priority"),
            field("uint16", NONE, NONE, name="current_pending"),
        ],
        {"arm_gic_virt_state": [field("uint16", 1, 2, name="current_pending")]},
    )


def machine(*controls: int, running: tuple[int, int] = (IDLE, IDLE), enabled: int = 3) -> bytes:
    state = State()
    for number, control in enumerate(controls):
        cpu(state, number, control)
    gic(state, running, enabled)
    return state.done()


def test_a_timer_that_was_set_is_due() -> None:
    """On its own CPU, which hears of it at once; the register has two numbers."""
    before = machine(0, ENABLE)
    after = device_state.DeviceState(device_state.expire(before))
    for number, control in ((0, 0), (1, ENABLE | PENDING)):
        values = after.values("cpu", number, "cpreg_vmstate_values")
        assert values == [9, control, control]
    assert after.get("arm_gic", 0, f"irq_state[{INTERRUPT}].pending") == 0b10
    assert after.get("arm_gic", 0, f"irq_state[{INTERRUPT}].level") == 0b10
    assert after.get("arm_gic", 0, f"irq_state[{INTERRUPT - 1}].pending") == 0
    assert after.values("arm_gic", 0, "current_pending") == [NONE, INTERRUPT]
    for number, wanted in ((0, 0), (1, HARD)):
        assert after.get("cpu_common", number, "interrupt_request") == wanted
        assert after.get("cpu", number, "env.irq_line_state") == wanted
    assert len(after.data) == len(before)


def test_a_cpu_that_handles_an_interrupt_hears_of_it_afterwards() -> None:
    """The controller looks again when that one is done."""
    after = device_state.DeviceState(device_state.expire(machine(ENABLE, running=(0xA0, IDLE))))
    assert after.get("arm_gic", 0, f"irq_state[{INTERRUPT}].pending") == 1
    assert after.get("arm_gic", 0, "current_pending") == NONE
    assert after.get("cpu_common", 0, "interrupt_request") == 0


@pytest.mark.parametrize(
    "state", [machine(0, 0), machine(ENABLE | PENDING, 0), machine(ENABLE, ENABLE, enabled=0)]
)
def test_any_other_machine_stays_as_it_is(state: bytes) -> None:
    """No timer is set; it is due already; nobody listens."""
    assert device_state.expire(state) == state


def test_a_state_that_is_none() -> None:
    for data in (b"", b"QEVM", machine(0)[:-1], machine(0).replace(b"arm_gic\0", b"arm_gix\0", 1)):
        with pytest.raises(MachineError, match="cannot be understood"):
            device_state.expire(data)


def test_a_machine_of_another_kind() -> None:
    """Without such a timer, and without such an interrupt controller."""
    state = State()
    cpu(state, 0, 1, registers=(OTHER + 1,))
    gic(state, (IDLE, IDLE))
    with pytest.raises(MachineError, match="no CNTHP_CTL"):
        device_state.expire(state.done())
    state = State()
    cpu(state, 0, 1)
    with pytest.raises(MachineError, match=r"no irq_state\[26\].enabled of arm_gic 0"):
        device_state.expire(state.done())


def redistributor(handled: int) -> tuple[dict[str, Any], bytes]:
    """What GICv3 has for one CPU: the first two interrupts that it handles, and who listens."""
    inside = [
        field("uint32", 0, name="level"),
        field("uint32", 1 << INTERRUPT, name="gicr_ienabler0"),
        field("uint64", handled, 0, name="icc_apr"),
    ]
    data = b"".join(one for _, one in inside)
    shape = {"vmsd_name": "arm_gicv3_cpu", "version": 1, "fields": [one for one, _ in inside]}
    return {"name": "cpu", "type": "struct", "struct": shape, "size": len(data)}, data


def test_gicv3_has_a_part_for_each_cpu() -> None:
    """Both timers are due; a CPU that handles an interrupt hears of it afterwards."""
    state = State()
    for number in range(2):
        cpu(state, number, ENABLE, registers=CNTHP_CTL[1:])
    state.device("arm_gicv3", 0, [field("uint32", 5, name="gicd_ctlr"), redistributor(1),
                                  redistributor(0)])  # fmt: skip
    after = device_state.DeviceState(device_state.expire(state.done()))
    for number, wanted in ((0, 0), (1, HARD)):
        assert after.get("arm_gicv3", 0, f"cpu[{number}].level") == 1 << INTERRUPT
        assert after.get("cpu_common", number, "interrupt_request") == wanted
        assert after.values("cpu", number, "cpreg_vmstate_values") == [9, ENABLE | PENDING]
