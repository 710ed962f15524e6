"""Checks the files of a guest before anything boots, and finds its width in them.

labs.yaml can be right even if such a file is missing or wrong. So only this guest is refused, and
the labs that have it. All other labs can be used.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.config import remembered, schema
from lab.config.yaml_source import Loc, Source
from lab.images import guest_memory, kernel_file
from lab.images.kernel_formats import Kernel
from lab.model import Place, Refusal
from lab.util.terminal import quote


@dataclass(frozen=True)
class Files:
    """What a guest's files say of it.

    ``refused``: why it cannot be started; empty if it can. ``width``: in bits, as labs.yaml or its
    kernel says; 0 if neither does.
    """

    refused: tuple[Refusal, ...]
    width: int


def look(source: Source, at: Loc, shape: schema.Guest) -> Files:
    """Look at the files of the guest at ``at``."""
    found: dict[str, str] = {}
    kernel = ramdisk = None
    width = int(shape.width or 0)
    ready = shape.kernel and not (shape.freertos or shape.project)
    if ready:
        kernel = _kernel(source, shape.kernel or "", found)
    if kernel and kernel.width and width not in (0, kernel.width):
        found["width"] = f"this kernel is {kernel.width} bits wide; leave 'width' out"
    if ready and shape.ramdisk:
        ramdisk = _ramdisk(source, shape.ramdisk, kernel, found)
    if not found:
        needed = guest_memory.need(kernel or Kernel(), ramdisk or 0)
        is_linux = kernel is not None and kernel.is_linux
        found["memory"] = guest_memory.too_little(shape.memory, needed, linux=is_linux)
    refused = tuple(
        Refusal(source.place((*at, key)), f"{quote(key)}: {wrong}")
        for key, wrong in found.items()
        if wrong
    )
    return Files(refused, width or (kernel.width if kernel else 0))


def places(source: Source, at: Loc, shape: schema.Guest) -> dict[str, Place]:
    """The places of a guest's keys in labs.yaml."""
    return {key: source.place((*at, key)) for key in sorted(shape.model_fields_set)} | {
        "": source.place(at)
    }


def _kernel(source: Source, text: str, found: dict[str, str]) -> Kernel | None:
    path, wrong = remembered.look(source.file.absolute().parent, text, folder=False)
    kernel = None
    if not wrong:
        try:
            kernel = kernel_file.look(path)
        except OSError as error:
            wrong = f"{quote(text)}: {error.strerror or error}"
        else:
            wrong = kernel.wrong and f"{quote(path.name)} {kernel.wrong}"
    if wrong:
        found["kernel"] = wrong
    return kernel


def _ramdisk(source: Source, text: str, kernel: Kernel | None, found: dict[str, str]) -> int | None:
    """The size of a ramdisk in bytes; ``None`` if the file cannot be used."""
    path, wrong = remembered.look(source.file.absolute().parent, text, folder=False)
    size = None
    if not wrong:
        try:
            size = path.stat().st_size
            wrong = kernel_file.look_at_ramdisk(path, kernel or Kernel())
            wrong = wrong and f"{quote(path.name)} {wrong}"
        except OSError as error:
            wrong = f"{quote(text)}: {error.strerror or error}"
    if wrong:
        found["ramdisk"] = wrong
    return size
