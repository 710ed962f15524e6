"""Tasks on the parts: guests, images, the toolchain."""

from __future__ import annotations

from pathlib import Path

from lab import api
from lab.cli.glue import command, print_json, say
from lab.cli.show import short
from lab.progress import Progress
from lab.util.terminal import table

_JSON = "print JSON for programs"
_LOCKED = "packages that are not the ones in labs.lock are an error (LAB_LOCKED=1 says so too)"


def _context(labs: str, door: str = "", locked: bool = False) -> api.Context:
    return api.Context(Path(labs), door or None, Progress(), locked=locked)


@command("lab.new", words=("folder",), optional=("folder",))
def lab_new(folder: str) -> None:
    """Write a labs.yaml with the labs that ship, and their applications, into a folder."""
    say(f"wrote {short(api.new(Path(folder)))}; start one: ./inv lab.up")


@command("guest.build", words=("name",), labs="the file that describes the guests", json=_JSON)
def guest_build(name: str, labs: str = "labs.yaml", json: bool = False) -> None:
    """Build a guest; says where its binary, ELF file and library are."""
    built = api.guest_build(_context(labs), name)
    if json:
        print_json(built)
        return
    for kind, image in built.parts().items():
        print(f"{kind:8} {image.size:>9} bytes  {image.path}")


@command("image.build", json=_JSON, locked=_LOCKED,
         hypervisor="build this hypervisor of the labs file instead",
         labs="the file that describes the hypervisors")  # fmt: skip
def image_build(json: bool = False, hypervisor: str = "", labs: str = "labs.yaml",
                locked: bool = False) -> None:  # fmt: skip
    """Build Xen, dom0's kernel and the initramfs, if they are not stored."""
    built = api.image_build(_context(labs, locked=locked), hypervisor or None)
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


@command("image.lock", json=_JSON, labs="the file that describes the labs",
         update="take the newest packages, build all images, and write labs.lock")  # fmt: skip
def image_lock(update: bool = False, json: bool = False, labs: str = "labs.yaml") -> int:
    """Whether packages and images are those in labs.lock; --update moves it."""
    found = api.update_lock(_context(labs)) if update else api.check_lock(_context(labs))
    if json:
        print_json(found)
    for line in () if json else found.changes:
        print(line)
    what = f"{short(found.file)} ({found.packages} packages, {found.images} images)"
    if update:
        say(f"{what} {'is written' if found.changes else 'did not change'}")
        return 0
    say(f"{what} {'disagrees; ./inv image.lock --update moves it' if found.changes else 'agrees'}")
    return 3 if found.changes else 0


@command(
    "toolchain.build", door="toolchain: auto, docker, rootfs, host", json=_JSON, locked=_LOCKED
)
def toolchain_build(door: str = "", json: bool = False, locked: bool = False) -> None:
    """Make the toolchain, if it is not there."""
    info = api.toolchain_build(_context("labs.yaml", door, locked))
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
    print(f"lock      {info.lock}")
    for one in info.drift:
        print(f"drifted   {one}")
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
