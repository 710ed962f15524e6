"""Tasks that build or check what a lab needs: guests, images, the toolchain, this machine."""

from __future__ import annotations

import shlex
from pathlib import Path

from lab import api
from lab.cli.command import command
from lab.cli.lab_task import ARCH_OF, DOOR, JSON, LABS, LOCKED
from lab.cli.output import print_json, say
from lab.cli.results import short, show_imported
from lab.errors import UsageError
from lab.progress import Progress
from lab.util.terminal import table


def context(labs: str, door: str = "", locked: bool = False, arch: str = "") -> api.Context:
    """The context of a task with these options."""
    kind = api.architecture(arch)
    return api.Context(Path(labs), door or None, Progress(), locked=locked, arch=kind)


@command("lab.new", words=("folder",), optional=("folder",), example="lab.new my-labs",
         folder="the folder to write to (default: this one)")  # fmt: skip
def lab_new(folder: str) -> None:
    """Copy the labs that come with xenlab into a folder.

    It writes a labs.yaml and the applications of its guests.
    """
    file = api.new(Path(folder))
    where = "" if file.parent.resolve() == Path.cwd() else f" --labs {shlex.quote(short(file))}"
    say(f"wrote {short(file)}; start one: ./inv lab.up{where}")


@command("lab.import", words=("config",), example="lab.import guest.cfg --into labs.yaml",
         config="an ImageBuilder configuration, or one of xl", json=JSON,
         into="add the guests and the lab to this labs.yaml (default: print them)",
         name="the lab's name (default: the guest's in the file, else the file's)",
         folder="the folder that the file's paths are relative to (default: its own)")  # fmt: skip
def lab_import(config: str, into: str = "", name: str = "", folder: str = "",
               json: bool = False) -> int:  # fmt: skip
    """Make a lab from a file of ImageBuilder or xl.

    The file is read, not run. Each key that labs.yaml has no word for is named with its line.
    """
    made = api.import_config(Path(config), into=Path(into) if into else None, name=name,
                             folder=Path(folder) if folder else None)  # fmt: skip
    print_json(made) if json else show_imported(made)
    return 2 if made.problem else 0


@command("guest.build", words=("name",), example="guest.build hello",
         name="name of the guest in labs.yaml", labs=LABS, json=JSON,
         arch=f"{ARCH_OF} the guest")  # fmt: skip
def guest_build(name: str, labs: str = "labs.yaml", json: bool = False, arch: str = "") -> None:
    """Build a guest and print where its files are."""
    built = api.guest_build(context(labs, arch=arch), name)
    if json:
        print_json(built)
        return
    for kind, image in built.parts().items():
        print(f"{kind:8} {image.size:>9} bytes  {image.path}")


@command("image.build", example="image.build --hypervisor debug", json=JSON, locked=LOCKED,
         hypervisor="build only this hypervisor of labs.yaml", labs=LABS,
         arch=f"{ARCH_OF} the images")  # fmt: skip
def image_build(json: bool = False, hypervisor: str = "", labs: str = "labs.yaml",
                locked: bool = False, arch: str = "") -> None:  # fmt: skip
    """Build Xen, dom0's kernel and its initramfs.

    Images that are stored already are not built again.
    """
    built = api.image_build(context(labs, locked=locked, arch=arch), hypervisor or None)
    if json:
        print_json([image for _, image in built])
        return
    for what, image in built:
        print(f"{what:16} {image.size:>9} bytes  {image.sha256[:16]}  {image.path}")


@command("image.list", example="image.list", json=JSON)
def image_list(json: bool = False) -> None:
    """List the stored images."""
    found = api.image_list()
    if json:
        print_json(found)
        return
    rows = [[one["kind"], one["key"][:12], one["size"], one["made_of"]] for one in found]
    print(table(rows, header=["Kind", "Key", "Bytes", "Made of"]))


@command("image.lock", example="image.lock", json=JSON, labs=LABS,
         arch="with --update: lock the packages of this architecture too, from now on",
         update="take the newest packages, build all images and write labs.lock")  # fmt: skip
def image_lock(update: bool = False, json: bool = False, labs: str = "labs.yaml",
               arch: str = "") -> int:  # fmt: skip
    """Compare packages and images with labs.lock.

    It first builds every image of labs.yaml that is not stored. The first time takes minutes.
    """
    if arch and not update:
        raise UsageError("--arch goes with --update")
    where = context(labs, arch=arch)
    found = api.update_lock(where) if update else api.check_lock(where)
    if json:
        print_json(found)
    for line in () if json else found.changes:
        print(line)
    what = f"{short(found.file)} ({found.packages} packages, {found.images} images)"
    if update:
        say(f"{what} {'is written' if found.changes else 'did not change'}")
        return 0
    if not json:
        print(f"{what} {'disagrees' if found.changes else 'agrees'}")
    if found.changes:
        say("./inv image.lock --update writes labs.lock again")
    return 3 if found.changes else 0


@command("toolchain.build", example="toolchain.build", door=DOOR, json=JSON, locked=LOCKED,
         arch=f"{ARCH_OF} the labs")  # fmt: skip
def toolchain_build(door: str = "", json: bool = False, locked: bool = False,
                    arch: str = "") -> None:  # fmt: skip
    """Make the toolchain if it is missing."""
    info = api.toolchain_build(context("labs.yaml", door, locked, arch))
    print_json(info) if json else print(f"toolchain {info.door}: {info.where}")


@command("toolchain.info", example="toolchain.info", door=DOOR, json=JSON,
         arch=f"{ARCH_OF} the labs")  # fmt: skip
def toolchain_info(door: str = "", json: bool = False, arch: str = "") -> None:
    """Print the toolchain's place, size and versions."""
    info = api.toolchain_build(context("labs.yaml", door, arch=arch))
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


@command(
    "doctor",
    example="doctor --verify",
    verify="compare every file of the cached toolchains and images with what it was",
    json=JSON,
)
def doctor(verify: bool = False, json: bool = False) -> int:
    """Show what this machine has and lacks."""
    findings = api.doctor(context("labs.yaml"), verify=verify)
    if json:
        print_json(findings)
    else:
        for one in findings:
            print(f"{one.status:5} {one.name:20} {one.what}")
            if one.hint:
                print(f"      {'':20} → {one.hint}")
    return 3 if any(one.status == "fail" for one in findings) else 0
