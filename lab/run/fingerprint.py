"""What makes runs comparable, and booted labs interchangeable: one name for all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lab.model import Expectation, GuestImage, Images, Never, Plan, Step
from lab.util import files

#: The words of the command line that name a machine or say how it begins, with their values.
_OWN = ("-name", "-incoming")


def machine(command: Sequence[str], images: Images, toolchain: str) -> dict[str, str]:
    """What a booted machine follows from, before it has guests. By part; all are hashes."""
    return {
        "toolchain": toolchain,
        "hypervisor": images.hypervisor.sha256,
        **({"kernel": images.kernel.sha256} if images.kernel else {}),
        **({"initramfs": images.initramfs.sha256} if images.initramfs else {}),
        **({"guests of Xen": images.booted.sha256} if images.booted else {}),
        "device tree": images.devicetree.sha256,
        "command line": files.sha256_json(_plain(command)),
    }


def run(
    command: Sequence[str],
    images: Images,
    toolchain: str,
    plan: Plan,
    guests: Mapping[str, GuestImage],
) -> dict[str, str]:
    """What a run follows from. By part; all are hashes."""
    return machine(command, images, toolchain) | {
        **{f"guest {one.name}": _guest(one.config, guests[one.name]) for one in plan.all_guests},
        "labs.yaml": files.sha256_json(_wanted(plan)),
    }


def key(parts: Mapping[str, str]) -> str:
    """One name for all parts."""
    return files.sha256_json(dict(parts))


def difference(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The parts that differ: first what people change, labs.yaml and guests; last the toolchain,
    of which most others follow."""
    names = sorted(one.keys() | other.keys(), key=lambda name: (_rank(name), name))
    return [name for name in names if one.get(name) != other.get(name)]


def _rank(part: str) -> int:
    first = 0 if part == "labs.yaml" else 1 if part.startswith("guest ") else 2
    return 3 if part == "toolchain" else first


def _plain(command: Sequence[str]) -> list[str]:
    words, skip = [], False
    for word in command:
        if not skip and word not in _OWN:
            words.append(word)
        skip = not skip and word in _OWN
    return words


def _guest(config: str, image: GuestImage) -> str:
    parts = {name: part.sha256 for name, part in image.parts().items() if name != "elf"}
    return files.sha256_json([config, parts])


def _wanted(plan: Plan) -> list[Any]:
    """What labs.yaml asks for that is in none of the other parts."""
    lab = plan.lab
    shares = [plan.dom0_scheduling, *(guest.scheduling for guest in plan.guests)]
    traced = [lab.trace.mask if lab.trace else 0, list(lab.traced), lab.dom0.busy]
    wanted = [[_placeless(item) for item in lab.expect], shares, traced, plan.machine.clock]
    items: list[Step | Never] = [*lab.steps, *lab.never]
    more = [[_placeless(item) for item in items], lab.may_crash,
            [guest.name for guest in (*lab.guests, *lab.later) if guest.may_crash]]  # fmt: skip
    return [*wanted, more] if any(more) else wanted


def _placeless(item: Expectation | Step | Never) -> dict[str, Any]:
    """What is asked for, wherever in labs.yaml it stands."""
    found = {name: value for name, value in asdict(item).items() if name != "line"}
    if isinstance(item, Step):
        found["members"] = [_placeless(member) for member in item.members]
    return found
