"""Mends the stored state of a machine: Xen's timers, which QEMU does not bring back.

Xen sets one timer on each CPU (CNTHP). QEMU stores its registers, but not the moment at which it
is due (QEMU 10.0: ``vmstate_arm_cpu`` in target/arm/machine.c has the timers of EL1 alone). So a
CPU that waits for it would wait for ever. :func:`expire` changes the state so that each such timer
is due at once. Xen then sets it anew, for the first of all the times that it waits for
(``timer_softirq_action`` in xen/common/timer.c).

QEMU writes a description of the state, as JSON, behind it (migration/savevm.c). Everything here is
found by its names.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import MachineError

#: Sections of a stored state (migration/savevm.h): a whole device, a part of one, the description.
FULL, SUBSECTION, DESCRIPTION = b"\x04", b"\x05", b"\x06"
#: How many bytes come before the machine's configuration: the head, and the kind of the section.
BEFORE = 9
#: QEMU's numbers of the register CNTHP_CTL and of CNTHP_CTL_EL2 (``cpreg_to_kvm_id`` in
#: target/arm/cpregs.h), and the register's bits (Arm Architecture Reference Manual). A 32-bit CPU
#: has it under both numbers, and QEMU loads the second one last.
CNTHP_CTL = (0x4020_0000_200F_7121, 0x6030_0000_0013_E711)
ENABLE, PENDING = 1, 4
#: The timer's interrupt (PPI) on QEMU's board ``virt``, and the number for "no interrupt".
INTERRUPT, NONE = 26, 1023
#: The priority of a CPU that handles no interrupt (hw/intc/arm_gic.c).
IDLE = 0x100
#: ``CPU_INTERRUPT_HARD`` of QEMU: an interrupt waits for this CPU.
HARD = 2
#: Each device that is needed here.
CPU, RUNNING, GIC, GICV3 = "cpu", "cpu_common", "arm_gic", "arm_gicv3"


@dataclass(frozen=True)
class _Field:
    """A field: where it begins, the bytes of each of its elements, how many it has."""

    at: int
    size: int
    count: int
    little: bool


class DeviceState:
    """A machine's stored state, to read and to change.

    Raises:
        MachineError: it does not have the form that QEMU gives it.
    """

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        try:
            self._fields = dict(_devices(data))
        except (ValueError, KeyError, TypeError) as error:
            raise MachineError(
                f"the machine's stored state cannot be understood: {error}"
            ) from None

    def count(self, device: str) -> int:
        """How many of such devices there are."""
        return sum(1 for name, _ in self._fields if name == device)

    def values(self, device: str, number: int, field: str) -> list[int]:
        """All elements of a field."""
        found = self._field(device, number, field)
        return [self._get(found, index) for index in range(found.count)]

    def get(self, device: str, number: int, field: str, index: int = 0) -> int:
        return self._get(self._field(device, number, field), index)

    def set(self, place: tuple[str, int, str], value: int, index: int = 0) -> None:
        """Change an element of the field at ``place``: device, number, field."""
        found = self._field(*place)
        at = found.at + index * found.size
        self.data[at : at + found.size] = value.to_bytes(
            found.size, "little" if found.little else "big"
        )

    def _get(self, field: _Field, index: int) -> int:
        at = field.at + index * field.size
        found = self.data[at : at + field.size]
        return int.from_bytes(found, "little" if field.little else "big")

    def _field(self, device: str, number: int, field: str) -> _Field:
        try:
            return self._fields[device, number][field]
        except KeyError:
            raise MachineError(
                f"the machine's stored state has no {field} of {device} {number}"
            ) from None


def end_of_configuration(data: bytes) -> int:
    """Where the first device of a stored state begins.

    Raises:
        MachineError: the state does not have the form that QEMU gives it.
    """
    try:
        return _part(data, BEFORE, _description(data)["configuration"], {})
    except (ValueError, KeyError, TypeError) as error:
        raise MachineError(f"the machine's stored state cannot be understood: {error}") from None


def expire_in(path: Path) -> None:
    """Do as :func:`expire` in a file.

    Raises:
        MachineError: the state is not that of a machine that we know.
    """
    path.write_bytes(expire(path.read_bytes()))


def expire(data: bytes) -> bytes:
    """The state in which each of Xen's timers that was set is due.

    Raises:
        MachineError: the state is not that of a machine that we know.
    """
    state = DeviceState(data)
    for number in range(state.count(CPU)):
        _expire_one(state, number)
    return bytes(state.data)


def _expire_one(state: DeviceState, cpu: int) -> None:
    registers = state.values(CPU, cpu, "cpreg_vmstate_indexes")
    places = [registers.index(one) for one in CNTHP_CTL if one in registers]
    if not places:
        raise MachineError("the machine's stored state has no CNTHP_CTL")
    control = state.get(CPU, cpu, "cpreg_vmstate_values", places[-1])
    if not control & ENABLE or control & PENDING:
        return
    interrupt = _interrupt_v3 if state.count(GICV3) else _interrupt_v2
    taken = interrupt(state, cpu)
    if taken is None:
        return
    for at in places:
        state.set((CPU, cpu, "cpreg_vmstate_values"), control | PENDING, at)
    if taken:
        for place in ((RUNNING, cpu, "interrupt_request"), (CPU, cpu, "env.irq_line_state")):
            state.set(place, state.get(*place) | HARD)


def _interrupt_v2(state: DeviceState, cpu: int) -> bool | None:
    """Have the timer's interrupt wait for a CPU. Whether the CPU takes it at once; ``None``: it
    does not listen to it."""
    bit = 1 << cpu
    if not state.get(GIC, 0, f"irq_state[{INTERRUPT}].enabled") & bit:
        return None
    for name in ("pending", "level"):
        field = f"irq_state[{INTERRUPT}].{name}"
        state.set((GIC, 0, field), state.get(GIC, 0, field) | bit)
    free = state.get(GIC, 0, "running_priority", cpu) == IDLE
    if not free or state.get(GIC, 0, "current_pending", cpu) != NONE:
        return False
    state.set((GIC, 0, "current_pending"), INTERRUPT, cpu)
    return True


def _interrupt_v3(state: DeviceState, cpu: int) -> bool | None:
    """The same for GICv3, which finds out anew what is pending (``arm_gicv3_post_load`` in
    hw/intc/arm_gicv3.c) but does not tell the CPU."""
    bit = 1 << INTERRUPT
    own = f"cpu[{cpu}]."
    if not state.get(GICV3, 0, f"{own}gicr_ienabler0") & bit:
        return None
    state.set((GICV3, 0, f"{own}level"), state.get(GICV3, 0, f"{own}level") | bit)
    return not any(state.values(GICV3, 0, f"{own}icc_apr"))  # it handles no interrupt


def _devices(data: bytes) -> Iterator[tuple[tuple[str, int], dict[str, _Field]]]:
    at = 0
    for device in _description(data)["devices"]:
        name, number = str(device["name"]), int(device["instance_id"])
        ending = _string(name) + _word(number) + _word(int(device["version"]))
        found = re.compile(FULL + b"(?s:.{4})" + re.escape(ending)).search(data, at)
        if found is None:
            raise ValueError(f"no section {name}")
        at = found.end()
        if name in (CPU, RUNNING, GIC, GICV3):
            fields: dict[str, _Field] = {}
            at = _part(data, at, device, fields)
            yield (name, number), fields


def _description(data: bytes) -> Mapping[str, Any]:
    for found in re.finditer(DESCRIPTION + rb"(?s:(.{4}))\{", data):
        if found.end() - 1 + int.from_bytes(found[1], "big") == len(data):
            described: Mapping[str, Any] = json.loads(data[found.end() - 1 :])
            return described
    raise ValueError("it has no description")


def _part(data: bytes, at: int, part: Mapping[str, Any], fields: dict[str, _Field]) -> int:
    """Note the fields of a device, and of its subsections; returns where it ends."""
    at = _noted(part["fields"], at, fields, "")
    for sub in part.get("subsections", ()):
        head = SUBSECTION + _string(sub["vmsd_name"]) + _word(int(sub["version"]))
        if not data.startswith(head, at):
            raise ValueError(f"no part {sub['vmsd_name']}")
        at = _part(data, at + len(head), sub, fields)
    return at


def _noted(
    described: Sequence[Mapping[str, Any]], at: int, fields: dict[str, _Field], prefix: str
) -> int:
    seen = Counter[str]()
    for one in described:
        size, count = int(one["size"]), int(one.get("array_len", 1))
        before = seen[one["name"]]  # elements that differ are described one by one
        seen[one["name"]] += count
        field = _Field(at, size, count, str(one["type"]).endswith("le"))
        fields.setdefault(f"{prefix}{one['name']}", field)
        if "struct" in one:
            for index in range(count):
                inside = f"{prefix}{one['name']}[{before + index}]."
                _noted(one["struct"]["fields"], at + index * size, fields, inside)
        at += size * count
    return at


def _string(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def _word(value: int) -> bytes:
    return value.to_bytes(4, "big")
