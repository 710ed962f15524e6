"""The fingerprint of a machine, or of a run: a hash for each part that it depends on.

Two runs can be compared if their fingerprints are equal. A template fits a lab if its key, the
hash over the machine's fingerprint, does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lab.machine import qemu_command
from lab.model import Expectation, GuestImage, Never, Plan, Step
from lab.util import files
from lab.workshop.prepare import Prepared

#: Options of QEMU, each with one value, that differ between machines that are otherwise equal.
_OWN = ("-name", "-incoming")


def of_machine(plan: Plan, prepared: Prepared) -> dict[str, str]:
    """The hashes that a plan's booted machine depends on, before it has guests, by part.

    Packaged tools have no part of their own: the initramfs has them.
    """
    images = prepared.images
    tools = images.tools.sha256 if images.tools else ""
    return {
        "toolchain": prepared.toolchain.key,
        "hypervisor": images.hypervisor.sha256,
        **({"kernel": images.kernel.sha256} if images.kernel else {}),
        **({"initramfs": images.initramfs.sha256} if images.initramfs else {}),
        **({"guests of Xen": images.booted.sha256} if images.booted else {}),
        "device tree": images.devicetree.sha256,
        "command line": files.sha256_json(_plain(qemu_command.qemu(plan, ""))),
        **({"tools": tools} if tools else {}),
    }


def of_guests(plan: Plan, prepared: Prepared) -> dict[str, str]:
    """The hashes that a plan's machine with all its guests depends on, by part."""
    guests = prepared.guests
    return of_machine(plan, prepared) | {
        f"guest {one.name}": _guest(one.config, guests[one.name]) for one in plan.all_guests
    }


def of_run(plan: Plan, prepared: Prepared) -> dict[str, str]:
    """The hashes that a plan's run depends on, by part."""
    disturbed = files.sha256_json([asdict(one) for one in plan.disturbances])
    return {
        **of_guests(plan, prepared),
        "labs.yaml": files.sha256_json(_wanted(plan)),
        **({} if plan.seed is None else {"disturbances": disturbed}),
    }


def key(parts: Mapping[str, str]) -> str:
    """One hash over all parts."""
    return files.sha256_json(dict(parts))


def difference(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The parts that differ: labs.yaml and guests first, as people change them most often. The
    toolchain comes last: if it differs, most other parts do, too."""
    names = sorted(one.keys() | other.keys(), key=lambda name: (_rank(name), name))
    return [name for name in names if one.get(name) != other.get(name)]


def _rank(part: str) -> int:
    first = 0 if part in ("labs.yaml", "disturbances") else 1 if part.startswith("guest ") else 2
    return 3 if part == "toolchain" else first


def _plain(argv: Sequence[str]) -> list[str]:
    words, skip = [], False
    for word in argv:
        if not skip and word not in _OWN:
            words.append(word)
        skip = not skip and word in _OWN
    return words


def _guest(config: str, image: GuestImage) -> str:
    parts = {name: part.sha256 for name, part in image.parts().items() if name != "elf"}
    return files.sha256_json([config, parts])


def _wanted(plan: Plan) -> list[Any]:
    """The part of labs.yaml that no other hash covers."""
    lab = plan.lab
    shares = [plan.dom0_scheduling, *(guest.scheduling for guest in plan.guests)]
    traced = [lab.trace.mask if lab.trace else 0, list(lab.traced), lab.dom0.busy]
    wanted = [[_placeless(item) for item in lab.expect], shares, traced, plan.machine.clock]
    items: list[Step | Never] = [*lab.steps, *lab.never]
    more = [[_placeless(item) for item in items], lab.may_crash,
            [guest.name for guest in (*lab.guests, *lab.later) if guest.may_crash]]  # fmt: skip
    wanted += [more] if any(more) else []
    return [*wanted, [plan.pool, plan.schedule]] if plan.schedule else wanted


def _placeless(item: Expectation | Step | Never) -> dict[str, Any]:
    """An item's fields without its line: it may move in labs.yaml."""
    found = {name: value for name, value in asdict(item).items() if name != "line"}
    if isinstance(item, Step):
        found["members"] = [_placeless(member) for member in item.members]
    return found
