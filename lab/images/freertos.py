"""Guests: FreeRTOS applications on the lab's port, the user's own projects, prebuilt kernels.

Everything is compiled in the toolchain. The user's files are only read: a project is built in a
copy.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lab.errors import GuestError, UsageError
from lab.images import compiling, kernel_tree, recipes
from lab.model import (
    ARM32,
    Architecture,
    Command,
    Completed,
    FreeRtosApp,
    GuestImage,
    GuestSpec,
    Image,
    Mount,
    Prebuilt,
    Project,
    Toolchain,
)
from lab.store import Store
from lab.util.files import copy_file, copy_tree, sha256_file, tree_hashes
from lab.util.reading import Unfit
from lab.util.resources import resource
from lab.util.terminal import escape, quote

#: Paths inside the toolchain while a guest is compiled. They are fixed, so that the bytes do not
#: depend on the host.
PORT, APP, KERNEL, HEADERS, OUT, SOURCE = (
    "/build/freertos", "/build/app", "/build/kernel", "/build/xen", "/build/out", "/build/project",
)  # fmt: skip
#: Seconds that a guest's build may take.
BUILD = 600.0
#: Size in bytes of one record of a guest's trace (images/freertos/port/trace.c).
RECORD = 16


@dataclass(frozen=True)
class Sources:
    """The FreeRTOS kernel and Xen's headers that guests are compiled against.

    ``keys``: ``kernel`` and ``headers`` → key in the store. The other two return the folders. They
    are called only if something is compiled. ``arch``: the architecture of the lab.
    """

    keys: Mapping[str, str]
    kernel: Callable[[], Path]
    headers: Callable[[], Path]
    arch: Architecture = ARM32


def build(store: Store, toolchain: Toolchain, guest: GuestSpec, sources: Sources) -> GuestImage:
    """A guest's files, from the store or built now.

    Raises:
        GuestError: it does not compile. The tail has the compiler's words.
        UsageError: ``FREERTOS_KERNEL`` in the environment names a folder that is not a FreeRTOS
            kernel, or the sources are too large or contain a FIFO or a device.
    """
    try:
        match guest.program:
            case FreeRtosApp() as app:
                return _application(store, toolchain, guest, app, sources)
            case Project() as project:
                return _project(store, toolchain, guest, project, sources)
            case Prebuilt() as ready:
                return _prebuilt(guest.name, ready)
            case program:
                raise TypeError(f"{type(program).__name__} is not built here")
    except Unfit as error:
        raise UsageError(f"guest {guest.name}: {error}", hint=error.hint) from None


def _application(
    store: Store, toolchain: Toolchain, guest: GuestSpec, app: FreeRtosApp, sources: Sources
) -> GuestImage:
    port = resource("images", "freertos")
    tree = app.kernel_tree or _named_tree(os.environ.get("FREERTOS_KERNEL"))
    made_for = sources.arch.of_guest(guest.width)
    inputs = {
        "recipe": sha256_file(Path(__file__)),
        "architecture": recipes.facts(made_for),
        "app": {"name": app.app.name, "files": tree_hashes(app.app)},
        "port": tree_hashes(port, frozenset({"apps", ".git"})),
        "kernel": tree_hashes(tree) if tree else sources.keys["kernel"],
        "headers": sources.keys["headers"],
        "toolchain": toolchain.key,
        "emergency_console": app.emergency_console,
        "trace": guest.trace,
    }

    def compile_into(out: Path) -> None:
        mounts = [
            Mount(port, PORT), Mount(app.app, f"{APP}/{app.app.name}"),
            Mount(tree or sources.kernel(), KERNEL), Mount(sources.headers(), HEADERS),
            Mount(out, OUT, writable=True),
        ]  # fmt: skip
        argv = [
            "make", "-j2", "-C", PORT, f"APP={APP}/{app.app.name}", f"OUT={OUT}",
            f"FREERTOS_KERNEL={KERNEL}", f"XEN_PREFIX={HEADERS}/usr",
            f"ARCH={made_for.xen}", f"CROSS_COMPILE={made_for.bare_compiler}",
            f"EMERGENCY_CONSOLE={int(app.emergency_console)}",
            *_trace_options(guest),
        ]  # fmt: skip
        _compile(toolchain, guest.name, Command(argv, mounts, "/build"))
        _keep_only(out, {f"{app.app.name}.elf", f"{app.app.name}.bin", "FreeRTOS.a"})

    entry = store.make("guest", inputs, compile_into)
    return GuestImage(
        guest.name,
        entry.image(f"{app.app.name}.bin"),
        elf=entry.image(f"{app.app.name}.elf"),
        library=entry.image("FreeRTOS.a"),
    )


def _named_tree(named: str | None) -> Path | None:
    tree = Path(named).absolute() if named else None
    why = kernel_tree.lacks(tree) if tree else ""
    if why:
        raise UsageError(
            f"FREERTOS_KERNEL={quote(str(named))}: not a FreeRTOS kernel: {why}",
            hint="name the folder that has tasks.c, include and portable/MemMang, or unset it",
        )
    return tree


def _project(
    store: Store, toolchain: Toolchain, guest: GuestSpec, project: Project, sources: Sources
) -> GuestImage:
    kernel = project.kernel.relative_to(project.project)
    elf = project.elf.relative_to(project.project) if project.elf else None
    made_for = sources.arch.of_guest(guest.width)
    inputs = {
        "recipe": sha256_file(Path(__file__)),
        "architecture": recipes.facts(made_for),
        "files": tree_hashes(project.project),
        "build": list(project.build),
        "kernel": str(kernel),
        "elf": str(elf) if elf else None,
        "headers": sources.keys["headers"],
        "toolchain": toolchain.key,
        "trace": guest.trace,
    }

    def compile_into(out: Path) -> None:
        copy = out / ".project"
        copy_tree(project.project, copy)
        mounts = [Mount(copy, SOURCE, writable=True), Mount(sources.headers(), HEADERS)]
        words = [f"CROSS_COMPILE={made_for.bare_compiler}", f"XEN_PREFIX={HEADERS}/usr"]
        words += _trace_options(guest)
        # make reads MAKEFLAGS as its command line, so these override the Makefile's own values.
        # ARCH does not: in many trees it has values of their own.
        env = dict(word.split("=") for word in words) | {"MAKEFLAGS": " ".join(words)}
        env["ARCH"] = made_for.xen
        _compile(toolchain, guest.name, Command(list(project.build), mounts, SOURCE, env))
        _pick(guest.name, copy, kernel, out / "kernel")
        if elf:
            _pick(guest.name, copy, elf, out / "elf")
        shutil.rmtree(copy)

    entry = store.make("project", inputs, compile_into)
    return GuestImage(guest.name, entry.image("kernel"), elf=entry.image("elf") if elf else None)


def _trace_options(guest: GuestSpec) -> list[str]:
    """Variables for ``make`` if the guest keeps a timing trace."""
    return ["LAB_TRACE=1", f"TRACE_RECORDS={guest.trace // RECORD}"] if guest.trace else []


def _prebuilt(name: str, ready: Prebuilt) -> GuestImage:
    ramdisk = _given("ramdisk", ready.ramdisk) if ready.ramdisk else None
    return GuestImage(name, _given("kernel", ready.kernel), ramdisk=ramdisk)


def _given(kind: str, path: Path) -> Image:
    digest = sha256_file(path)
    return Image(kind, path, digest, path.stat().st_size, digest, {"file": path.name})


def _compile(toolchain: Toolchain, name: str, command: Command) -> None:
    pinned = {"SOURCE_DATE_EPOCH": "0", **command.env}
    command = replace(command, env=pinned, timeout=BUILD)
    try:
        compiling.run(toolchain, f"guest {name}", command, refused=GuestError, words=_words)
    except GuestError as error:
        error.hint = error.hint or advice(error.tail)
        raise


def advice(said: str) -> str:
    """The hint for a linker's error; empty if the linker's words are enough."""
    missing = r"undefined reference to `(_(sbrk|write|read|close)|stdout|__heap_start)'"
    if not re.search(missing, said):
        return ""
    return (
        "the C library's printf and malloc need an operating system: in a FreeRTOS guest use "
        "printk and pvPortMalloc instead (docs/freertos.md)"
    )


def _words(done: Completed) -> str:
    text = (done.stdout + done.stderr).decode(errors="replace")
    return "\n".join(escape(line) for line in text.splitlines()[-25:])


def _keep_only(out: Path, wanted: set[str]) -> None:
    for path in out.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in wanted:
            path.unlink()


def _pick(name: str, tree: Path, wanted: Path, to: Path) -> None:
    found = (tree / wanted).resolve()
    if not found.is_relative_to(tree.resolve()) or not found.is_file():
        raise GuestError(
            f"guest {name}: the build succeeded but made no {wanted}",
            hint="kernel: and elf: of a project are paths inside the folder of project:",
        )
    copy_file(found, to)
