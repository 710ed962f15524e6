"""Writes what a run folder holds from the start: the manifest, and copies of debug symbols."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from lab import __version__
from lab.model import GuestImage, Image, Images, Plan
from lab.run import fingerprint
from lab.rundir import RunDir
from lab.util import files
from lab.workshop.prepare import Prepared


def first(plan: Plan, prepared: Prepared) -> dict[str, Any]:
    """The manifest of a run whose machine has not started yet."""
    images = prepared.images
    info = prepared.toolchain.info()
    return {
        "format": 1,
        "xenlab": __version__,
        "lab": plan.lab.name,
        "hypervisor": plan.lab.hypervisor.name,
        "clock": plan.machine.clock,
        "arch": plan.machine.arch.xen,
        "cpu": plan.machine.cpu,
        "gic": plan.machine.gic,
        "started": time.time(),
        "verdict": None,
        "toolchain": {"door": info.door, "key": info.key, "versions": dict(info.versions)},
        "lock": asdict(prepared.lock),
        "images": {
            **{name: _digest(image) for name, image in images.parts().items()},
            **({"xen-syms": _digest(images.symbols)} if images.symbols else {}),
        },
        **({"tools": asdict(images.tools)} if images.tools else {}),
        "guests": {name: _guest(image) for name, image in prepared.guests.items()},
        "fingerprint": fingerprint.of_run(plan, prepared),
        **_own_kernel(plan, images),
        **_disturbed(plan),
        "xen_args": plan.xen_args,
        "dom0_args": plan.dom0_args,
    }


def keep_elf(run: RunDir, guest: GuestImage) -> None:
    """Copy the guest's ELF file into the run folder, for debuggers. The store may lose it."""
    if guest.elf:
        files.copy_file(guest.elf.path, run.guest_dir / f"{guest.name}.elf")


def keep_symbols(run: RunDir, images: Images) -> None:
    """Copy Xen's symbols, if there are any, into the run folder: debuggers and logs use them."""
    if images.symbols:
        files.copy_file(images.symbols.path, run.symbols_file)


def _own_kernel(plan: Plan, images: Images) -> dict[str, Any]:
    """Which kernel dom0 has, if it is one of the user's own."""
    if not plan.lab.dom0.own_kernel or not images.kernel:
        return {}
    dom0 = plan.lab.dom0
    named = {"kernel": dom0.kernel, "modules": dom0.modules, "source": dom0.source}
    paths = {key: str(path) for key, path in named.items() if path}
    return {"dom0_kernel": {"release": images.kernel.inputs.get("release", ""), **paths}}


def _disturbed(plan: Plan) -> dict[str, Any]:
    """Which seed disturbs the run, and how."""
    if plan.seed is None:
        return {}
    return {"seed": plan.seed, "disturbances": [asdict(one) for one in plan.disturbances]}


def _digest(image: Image) -> dict[str, Any]:
    return {"sha256": image.sha256, "size": image.size, "key": image.key}


def _guest(guest: GuestImage) -> dict[str, Any]:
    return {name: _digest(image) for name, image in guest.parts().items()}
