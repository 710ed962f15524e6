"""Tasks on the parts: guests, images, the toolchain."""

from __future__ import annotations

from pathlib import Path

from lab import api
from lab.cli.glue import command, print_json, say
from lab.progress import Progress
from lab.util.terminal import table

_JSON = "print JSON for programs"


def _context(labs: str, door: str = "") -> api.Context:
    return api.Context(Path(labs), door or None, Progress())


@command("guest.build", words=("name",), labs="the file that describes the guests", json=_JSON)
def guest_build(name: str, labs: str = "labs.yaml", json: bool = False) -> None:
    """Build a guest; says where its binary, ELF file and library are."""
    built = api.guest_build(_context(labs), name)
    if json:
        print_json(built)
        return
    for kind, image in built.parts().items():
        print(f"{kind:8} {image.size:>9} bytes  {image.path}")


@command("image.build", json=_JSON, refresh="look for newer packages first",
         hypervisor="build this hypervisor of the labs file instead",
         labs="the file that describes the hypervisors")  # fmt: skip
def image_build(json: bool = False, refresh: bool = False, hypervisor: str = "",
                labs: str = "labs.yaml") -> None:  # fmt: skip
    """Build Xen, dom0's kernel and the initramfs, if they are not stored."""
    built = api.image_build(_context(labs), refresh, hypervisor or None)
    if json:
        print_json([image for _, image in built])
        return
    for what, image in built:
        print(f"{what:16} {image.size:>9} bytes  {image.sha256[:16]}  {image.path}")


@command("image.list", json=_JSON)
def image_list(json: bool = False) -> None:
    """What is stored: kind, size, and what it was made of."""
    found = api.image_list()
    if json:
        print_json(found)
        return
    rows = [[one["kind"], one["key"][:12], one["size"], one["made_of"]] for one in found]
    print(table(rows, header=["Kind", "Key", "Bytes", "Made of"]))


@command("toolchain.build", door="toolchain: auto, docker, rootfs, host", json=_JSON)
def toolchain_build(door: str = "", json: bool = False) -> None:
    """Make the toolchain, if it is not there."""
    info = api.toolchain_build(_context("labs.yaml", door))
    print_json(info) if json else say(f"toolchain {info.door}: {info.where}")


@command("toolchain.info", door="toolchain: auto, docker, rootfs, host", json=_JSON)
def toolchain_info(door: str = "", json: bool = False) -> None:
    """Door, size, versions of QEMU and the compilers."""
    info = api.toolchain_build(_context("labs.yaml", door))
    if json:
        print_json(info)
        return
    print(f"door      {info.door}\nwhere     {info.where}\nmade by   {info.origin}")
    print(f"key       {info.key}\nsize      {info.size >> 20} MiB")
    for name, version in info.versions.items():
        print(f"{name:24} {version}")


@command("doctor", json=_JSON)
def doctor(json: bool = False) -> int:
    """What this machine has and lacks."""
    findings = api.doctor(_context("labs.yaml"))
    if json:
        print_json(findings)
    else:
        for one in findings:
            print(f"{one.status:5} {one.name:20} {one.what}")
            if one.hint:
                print(f"      {'':20} → {one.hint}")
    return 3 if any(one.status == "fail" for one in findings) else 0
