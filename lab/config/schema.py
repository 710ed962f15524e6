"""The shape of labs.yaml: its keys, and how each value is read.

Checks that depend on other values or on the machine (does the file exist, is the memory enough) are
in :mod:`lab.config.resolve`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from lab.config import devices, units, xl_words
from lab.config.cpus import CpuSet, GuestCpus
from lab.config.explore_shapes import Explore
from lab.config.link_shapes import Channel, SharedMemory
from lab.config.scalars import (
    STRICT,
    Action,
    Address,
    Arch,
    Args,
    Count,
    Cpus,
    Disk,
    FileName,
    Flag,
    Gic,
    GuestName,
    Name,
    PathText,
    Processor,
    Seconds,
    Size,
    Text,
    Typed,
    Vcpus,
    Vif,
    one_or_more,
    scalar,
    split_words,
)
from lab.config.sched_shapes import LabScheduler, LabScheduling, Scheduler, Scheduling, Window
from lab.config.yaml_source import Loc, Source
from lab.model import ARCHITECTURES
from lab.util.terminal import quote


class Shape(BaseModel):
    model_config = STRICT


def _release(text: str) -> str:
    known = sorted({release.xen for arch in ARCHITECTURES for release in arch.releases})
    if text not in known:
        raise ValueError(f"Debian has no Xen {quote(text)}; it has {', '.join(known)}")
    return text


class Hypervisor(Shape):
    """``from: package`` takes Debian's hypervisor; ``from: source`` builds one."""

    origin: Annotated[str, scalar(units.one_of("package", "source"), "a word")] = Field(
        default="package", alias="from"
    )
    source: PathText | None = None
    kconfig: Annotated[list[PathText], BeforeValidator(one_or_more)] = []
    args: Args = ""
    tools: Annotated[str, scalar(units.one_of("package", "source"), "a word")] | None = None
    release: Annotated[str, scalar(_release, "a release of Xen")] = ""


class Trace(Shape):
    """``xen``: groups of Xen's events (public/trace.h), or masks such as 0x2f000."""

    xen: Annotated[list[Text], BeforeValidator(one_or_more)]


class Guest(Shape):
    """Exactly one program: ``freertos``, ``linux``, ``project`` or ``kernel`` alone."""

    freertos: PathText | None = None
    linux: PathText | None = None
    emergency_console: Flag = False
    project: PathText | None = None
    build: Annotated[list[Text], BeforeValidator(split_words)] = []
    kernel: PathText | None = None
    elf: PathText | None = None
    ramdisk: PathText | None = None
    memory: Size = 16 << 20
    vcpus: Vcpus = 1
    cpus: GuestCpus = CpuSet()
    cmdline: Args = ""
    scheduler: Scheduler | None = None
    trace: Annotated[int, scalar(units.trace, "true, false or a size such as 1M")] = 0
    may_crash: Flag = False
    width: Annotated[str, scalar(units.one_of("32", "64"), "a number")] | None = None
    static_memory: Address = 0
    direct_map: Flag = False
    start: Annotated[str, scalar(units.one_of("toolstack", "device-tree"), "a word")] = "toolstack"
    disk: Annotated[list[Disk], BeforeValidator(one_or_more)] = []
    vif: Annotated[list[Vif], BeforeValidator(one_or_more)] = []
    vuart: Annotated[bool, scalar(devices.vuart, "sbsa_uart")] = False
    on_poweroff: Action = "preserve"
    on_reboot: Action = "preserve"
    on_watchdog: Action = "preserve"
    on_crash: Action = "preserve"


class Dom0(Shape):
    memory: Size = 256 << 20
    vcpus: Vcpus | None = None
    cpus: Cpus = []
    scheduler: Scheduler | None = None
    busy: Flag = False
    kernel: PathText | None = None
    modules: PathText | None = None
    source: PathText | None = None
    config: Annotated[list[PathText], BeforeValidator(one_or_more)] = []


def _or_none(value: Any) -> Any:
    """``dom0: false``: there is none."""
    return None if value == "false" else value


class Expect(Shape):
    on: Text
    line: Text | None = None
    regex: Text | None = None
    within: Seconds = 30.0


class Step(Shape):
    """Exactly one of the keys in :data:`lab.config.scenario.ACTIONS`, with its other keys."""

    wait: Text | None = None
    regex: Text | None = None
    type: Typed | None = None
    exec: Text | None = None
    inject: Text | None = None
    destroy: Text | None = None
    pause: Text | None = None
    unpause: Text | None = None
    restart: Text | None = None
    collect: PathText | None = None
    silent: Text | None = None
    parallel: list[Step] | None = None
    on: Text | None = None
    within: Seconds | None = None
    enter: Flag | None = None
    output: Text | None = None
    status: Annotated[int, scalar(units.count(0, 255), "a number")] | None = None
    as_: FileName | None = Field(default=None, alias="as")
    for_: Seconds | None = Field(default=None, alias="for")


class Never(Shape):
    on: Text | None = None
    line: Text | None = None
    regex: Text | None = None


class Threshold(Shape):
    """``{task: control, figure: release_jitter, p99: 200us}``; a count: ``misses: 0``."""

    task: Text
    guest: Text | None = None
    figure: Text | None = None
    min: Seconds | None = None
    mean: Seconds | None = None
    p50: Seconds | None = None
    p99: Seconds | None = None
    p999: Seconds | None = None
    max: Seconds | None = None
    misses: Count | None = None
    unfinished: Count | None = None


class Lab(Shape):
    description: Text = "-"
    hypervisor: Text = "stock"
    cpus: Vcpus = 1
    memory: Size = 1 << 30
    dom0: Annotated[Dom0 | None, BeforeValidator(_or_none)] = Dom0()
    scheduler: LabScheduler | None = None
    trace: Trace | None = None
    guests: Annotated[list[Text], BeforeValidator(one_or_more)] = []
    expect: list[Expect] = []
    steps: list[Step] = []
    never: list[Never] = []
    thresholds: list[Annotated[Threshold, BeforeValidator(units.limit)]] = []
    channels: list[Channel] = []
    shared_memory: list[SharedMemory] = []
    may_crash: Flag = False
    clock: Annotated[str, scalar(units.one_of("host", "virtual"), "a word")] | None = None
    arch: Arch = ARCHITECTURES[0].xen
    cpu: Processor | None = None
    gic: Gic | None = None
    explore: Explore = Explore()


class Matrix(Shape):
    description: Text = "-"
    columns: list[Text]
    rows: dict[Text, list[Name]]
    arch: Annotated[list[Arch], BeforeValidator(one_or_more)] = []


class File(Shape):
    hypervisors: dict[Name, Hypervisor] = {}
    guests: dict[GuestName, Guest] = {}
    labs: dict[Name, Lab]
    matrices: dict[Name, Matrix] = {}


#: The shape at each place; ``*`` is any one key or index.
_SHAPES: dict[tuple[str, ...], type[BaseModel]] = {
    (): File,
    ("hypervisors", "*"): Hypervisor,
    ("guests", "*"): Guest,
    ("labs", "*"): Lab,
    ("labs", "*", "dom0"): Dom0,
    ("matrices", "*"): Matrix,
    ("labs", "*", "trace"): Trace,
    ("labs", "*", "explore"): Explore,
    ("guests", "*", "scheduler"): Scheduling,
    ("labs", "*", "scheduler"): LabScheduling,
    ("labs", "*", "scheduler", "windows", "*"): Window,
    ("labs", "*", "dom0", "scheduler"): Scheduling,
    ("labs", "*", "channels", "*"): Channel,
    ("labs", "*", "shared_memory", "*"): SharedMemory,
    ("labs", "*", "expect", "*"): Expect,
    ("labs", "*", "steps", "*"): Step,
    ("labs", "*", "steps", "*", "parallel", "*"): Step,
    ("labs", "*", "never", "*"): Never,
    ("labs", "*", "thresholds", "*"): Threshold,
}


def validate(source: Source) -> File:
    """The content of the file, in its shape.

    Raises:
        ConfigError: the content has problems; all of them, each at its place.
    """
    xl_words.understand(source)
    try:
        return File.model_validate(source.data)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            _report(source, item["loc"], item["type"], item.get("ctx", {}))
        source.check()
        raise AssertionError("unreachable") from error


def _report(source: Source, loc: Loc, kind: str, context: dict[str, Any]) -> None:
    is_key = loc[-1:] == ("[key]",)
    loc = loc[:-1] if is_key else loc
    last = str(loc[-1]) if loc else "the file"
    if kind == "extra_forbidden":
        known = keys(loc[:-1])
        words = xl_words.instead(last) if loc[:1] == ("guests",) and len(loc) == 3 else ""
        words = words or f"unknown key {quote(last)}{units.nearest(last, known)}"
        source.add(loc, words, key=True)
    elif kind == "missing":
        source.add(loc[:-1], f"{quote(last)} is missing")
    elif "error" in context:
        title = "" if is_key or isinstance(loc[-1], int) else f"{quote(last)}: "
        source.add(loc, f"{title}{context['error']}", key=is_key)
    else:
        number = loc[-1] if loc else ""
        what = f"entry {number + 1}" if isinstance(number, int) else quote(last)
        source.add(loc, f"{what} must be a {'list' if kind == 'list_type' else 'mapping'}")


def keys(loc: Loc) -> list[str]:
    """The keys that the mapping at ``loc`` can have."""
    for pattern, shape in _SHAPES.items():
        if len(pattern) == len(loc) and all(
            want in ("*", have) for want, have in zip(pattern, loc, strict=True)
        ):
            return [field.alias or name for name, field in shape.model_fields.items()]
    return []
