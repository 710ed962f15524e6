"""An ImageBuilder configuration as a lab of labs.yaml: guests that Xen itself boots.

What each key means, and its default: README.md of ImageBuilder (ViryaOS/imagebuilder,
"scripts/uboot-script-gen").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lab.config import units
from lab.config.imported import assignments, xen_command_line
from lab.config.imported.assignments import Key
from lab.config.imported.found import Found, Given, Note, name_like
from lab.config.imported.imagebuilder_keys import NOT_HERE, OF_BOARD, OF_GUEST
from lab.config.imported.machine import machine_memory
from lab.config.imported.named_files import NamedFiles
from lab.config.yaml_source import Mark, Source
from lab.model import RAM_BASE, Dom0Spec
from lab.util.terminal import quote

MIB = 1 << 20
#: A guest's memory, and its command line, if the file does not say.
MEMORY = 512
CONSOLE = "console=ttyAMA0"
#: More guests than this are taken for a mistake.
MOST_GUESTS = 100


@dataclass(frozen=True)
class _File:
    """The file that is read: its variables, and what is made of it."""

    source: Source
    given: dict[Key, Given]
    files: NamedFiles
    found: Found

    def get(self, name: str, index: int | None = None) -> Given | None:
        """A variable that has a value. One without an index is that with index 0, as in bash."""
        one = self.given.get((name, index))
        one = self.given.get((name, None)) if one is None and index == 0 else one
        return one if one and one.value else None

    def number(self, name: str, index: int | None, default: int) -> int:
        one = self.get(name, index)
        if one is None:
            return default
        try:
            return int(one.value, 0)
        except ValueError:
            self.source.add_at(
                one.mark, f"{quote(shown(name, index))}: {quote(one.value)} is no number"
            )
            return default

    def note(self, one: Given, name: str, text: str) -> None:
        self.found.notes.append(Note(one.mark, name, f"{quote(name)}: {text}"))


def shown(name: str, index: int | None) -> str:
    """``DOMU_MEM[0]``."""
    return name if index is None else f"{name}[{index}]"


def read(source: Source, text: str, name: str, files: NamedFiles) -> Found:
    """The lab of a configuration and its guests. ``name``: the lab's, if it is not empty.

    Raises:
        ConfigError: the file has something else than assignments, a value that is used needs a
            shell, or a guest has no kernel; every problem at its place.
    """
    given = assignments.read(source, text)
    file = _File(source, given, files, Found())
    name = name or name_like(source.file.stem)
    count = _count(file)
    _check_values(file)
    _name_others(file, count)
    without_dom0 = file.get("DOM0_KERNEL") is None
    for index in range(count):
        _guest(file, f"{name}-domu{index}", index)
    source.check()
    file.found.labs[name] = _lab(file, name, without_dom0)
    source.check()
    return file.found


def _count(file: _File) -> int:
    """How many guests the file says there are; 0 if that is wrong."""
    count = file.number("NUM_DOMUS", None, 0)
    given = file.get("NUM_DOMUS")
    if given and not 0 <= count <= MOST_GUESTS:
        text = f"'NUM_DOMUS': {count} is not a number from 0 to {MOST_GUESTS}"
        file.source.add_at(given.mark, text)
        return 0
    if file.get("DOM0_KERNEL") is None and (given is None or given.value == "0"):
        text = "there is neither 'DOM0_KERNEL' nor 'NUM_DOMUS': nothing would boot"
        file.source.add_at(Mark(), text)
    return count


def _check_values(file: _File) -> None:
    """Values that are used must be there as they are: no shell replaces anything in them."""
    for (name, index), one in file.given.items():
        if one.expansion and name in (OF_BOARD | OF_GUEST):
            file.source.add_at(
                one.mark,
                f"{quote(shown(name, index))} has {quote(one.expansion)} in it, and the file is "
                "read, not run; write the value",
            )


def _name_others(file: _File, count: int) -> None:
    """Name every key that has no counterpart in labs.yaml."""
    for (name, index), one in file.given.items():
        if name in OF_GUEST and (index or 0) >= count:
            file.note(one, shown(name, index), f"'NUM_DOMUS' is {count}, so there is no such guest")
        elif name not in (OF_BOARD | OF_GUEST) and one.value:
            words = NOT_HERE.get(name, "no key of ImageBuilder's that is known here")
            file.note(one, shown(name, index), words)


def _guest(file: _File, name: str, index: int) -> None:
    kernel = file.get("DOMU_KERNEL", index)
    if kernel is None:
        where = file.get("NUM_DOMUS")
        mark = where.mark if where else Mark()
        file.source.add_at(mark, f"'DOMU_KERNEL[{index}]' is missing: a guest needs a kernel")
        return
    guest: dict[str, Any] = {}
    for key, one in (("kernel", kernel), ("ramdisk", file.get("DOMU_RAMDISK", index))):
        if one:
            guest[key], said = file.files.path(one.value)
            if said:
                file.note(one, shown(f"DOMU_{key.upper()}", index), said)
    by_xen = file.get("DOMU_NOBOOT", index) is None
    command = file.get("DOMU_CMD", index)
    console = file.number("DOMU_VPL011", index, 1) == 1
    if command or (by_xen and console):
        guest["cmdline"] = command.value if command else CONSOLE
    guest["memory"] = f"{file.number('DOMU_MEM', index, MEMORY)}M"
    if (vcpus := file.number("DOMU_VCPUS", index, 1)) != 1:
        guest["vcpus"] = str(vcpus)
    if by_xen:
        guest["start"] = "device-tree"
        _static_memory(file, guest, index)
        if not console and (one := file.get("DOMU_VPL011", index)):
            file.note(one, shown("DOMU_VPL011", index), "a guest that Xen boots has this UART")
    _enhanced(file, index)
    file.found.guests[name] = guest


def _static_memory(file: _File, guest: dict[str, Any], index: int) -> None:
    """``DOMU_STATIC_MEM``: pairs of address and size. The guest has no other memory."""
    one = file.get("DOMU_STATIC_MEM", index)
    if one is None:
        return
    try:
        numbers = [int(word, 0) for word in one.value.split()]
    except ValueError:
        numbers = []
    if not numbers or len(numbers) % 2 or any(number % MIB for number in numbers):
        words = "wants pairs of address and size, in whole MiB, such as 0x50000000 0x20000000"
        file.source.add_at(one.mark, f"{quote(shown('DOMU_STATIC_MEM', index))}: {words}")
        return
    guest["memory"] = f"{sum(numbers[1::2]) // MIB}M"
    if len(numbers) > 2:
        words = "static memory is one piece here: the guest has as much memory, wherever it lies"
        file.note(one, shown("DOMU_STATIC_MEM", index), words)
        return
    guest["static_memory"] = f"{numbers[0]:#x}"
    if file.get("DOM0_KERNEL"):
        words = "Xen 4.17's init-dom0less cannot take over such a guest; it boots without a dom0"
        file.note(one, shown("DOMU_STATIC_MEM", index), words)
    if file.number("DOMU_DIRECT_MAP", index, 1) == 1:
        guest["direct_map"] = "true"


def _enhanced(file: _File, index: int) -> None:
    one = file.get("DOMU_ENHANCED", index)
    if one and one.value == "0":
        words = "a guest of the lab always sees Xen; its kernel may ignore it"
        file.note(one, shown("DOMU_ENHANCED", index), words)


def _lab(file: _File, name: str, without_dom0: bool) -> dict[str, Any]:
    lab: dict[str, Any] = {"description": f"imported from {file.source.file.name}"}
    command = file.get("XEN_CMD")
    told = xen_command_line.read(command.value if command else "")
    for words in told.notes if command else ():
        file.note(command, "XEN_CMD", words)  # type: ignore[arg-type]
    dom0 = {} if without_dom0 else _dom0(file, told)
    vcpus = [int(guest.get("vcpus", 1)) for guest in file.found.guests.values()]
    if told.scheduler == "null" and not without_dom0:
        dom0.setdefault("vcpus", "1")
    if told.scheduler:
        lab["scheduler"] = told.scheduler
    if told.scheduler == "null":
        lab["cpus"] = str(sum(vcpus) + int(dom0.get("vcpus", 0)))
    elif int(dom0.get("vcpus", 1)) > 1:
        lab["cpus"] = dom0["vcpus"]
    own = xen_command_line.hypervisor(told, _has_static(file), file.files)
    if own:
        file.found.hypervisors[f"{name}-xen"] = own
        lab["hypervisor"] = f"{name}-xen"
    lab |= _memory(file, dom0, without_dom0)
    if without_dom0 or dom0:
        lab["dom0"] = "false" if without_dom0 else dom0
    booted = [name for name, guest in file.found.guests.items() if "start" in guest]
    return lab | ({"guests": booted} if booted else {})


def _dom0(file: _File, told: xen_command_line.Told) -> dict[str, Any]:
    """dom0's memory and vCPUs. ``DOM0_MEM`` and ``DOM0_VCPUS`` count only without ``XEN_CMD``."""
    found: dict[str, Any] = {}
    alone = file.get("XEN_CMD") is None
    for key, name in (("memory", "DOM0_MEM"), ("vcpus", "DOM0_VCPUS")):
        one = file.get(name)
        if one and not alone:
            file.note(one, name, "with 'XEN_CMD' ImageBuilder ignores it")
        elif one:
            number = file.number(name, None, 1)
            found[key] = f"{number}M" if key == "memory" else str(number)
    if told.dom0_memory:
        found["memory"] = units.show_size(told.dom0_memory)
    if told.dom0_vcpus:
        found["vcpus"] = str(told.dom0_vcpus)
    return found


def _has_static(file: _File) -> bool:
    return any("static_memory" in guest for guest in file.found.guests.values())


def _memory(file: _File, dom0: dict[str, Any], without_dom0: bool) -> dict[str, str]:
    """The machine's memory: what the file says of the board's, and at least what is needed."""
    own = units.size(dom0["memory"]) if "memory" in dom0 else Dom0Spec().memory
    sizes = [units.size(guest["memory"]) for guest in file.found.guests.values()]
    start, end = (file.number(f"MEMORY_{which}", None, 0) for which in ("START", "END"))
    return machine_memory(
        sum(sizes) + (0 if without_dom0 else own), max([end - start, *_ends(file)])
    )


def _ends(file: _File) -> Iterator[int]:
    """How far the static memory of each guest reaches into the machine's, in bytes."""
    for guest in file.found.guests.values():
        if "static_memory" in guest:
            yield int(guest["static_memory"], 0) - RAM_BASE + units.size(guest["memory"])
