"""The words of the lab as frozen data: what is wanted, planned, built and seen.

A leaf: imports nothing of the project. Sizes are bytes, times are seconds, unless a name
says otherwise. Paths are absolute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import IO, Any, Protocol

#: The physical memory of QEMU's ``virt`` board (hw/arm/virt.c) and what we put where in it.
RAM_BASE = 0x4000_0000
KERNEL_ADDRESS = 0x4900_0000
INITRAMFS_ADDRESS = 0x4C00_0000

#: Where dom0's program lab-steps has its two places to stop at (virtual; nothing else of dom0,
#: Linux or Xen has code there), and how far they are apart.
STEPS_ADDRESS = 0x6B00_0000
STEPS_APART = 16

#: The virtio-serial ports of dom0: the agent's, a guest's console (with its name), and the
#: index of when which byte of a guest's console arrived.
AGENT_PORT = "org.qemu.guest_agent.0"
CONSOLE_PORT = "console.{name}"
TIMES_PORT = "times"
#: Where dom0 says which domains there are.
DOMAINS_PORT = "domains"
#: And of a lab that is traced: a guest's records, Xen's, and what is said about them.
TRACE_PORT = "trace.{name}"
XEN_TRACE_PORT = "trace-xen"
TRACE_LOG_PORT = "trace-log"


class Layer(StrEnum):
    """Where something failed, from the bottom up."""

    TOOLCHAIN = "toolchain"
    IMAGE = "image"
    QEMU = "qemu"
    XEN = "xen"
    DOM0 = "dom0"
    TOOLSTACK = "toolstack"
    GUEST = "guest"


class ExitStatus(IntEnum):
    """Exit statuses of every command."""

    PASS = 0
    GUEST = 1
    USAGE = 2
    INFRASTRUCTURE = 3
    PLATFORM = 4
    TOOLSTACK = 5


class Clock(StrEnum):
    """``HOST`` runs freely; ``VIRTUAL`` is QEMU's instruction counter."""

    HOST = "host"
    VIRTUAL = "virtual"


class Door(StrEnum):
    """How the toolchain is entered."""

    ROOTFS = "rootfs"
    DOCKER = "docker"
    HOST = "host"


# ---------------------------------------------------------------- what the user asks for


@dataclass(frozen=True)
class HypervisorSpec:
    """A hypervisor of labs.yaml. ``origin`` is ``package`` or ``source``."""

    name: str
    origin: str = "package"
    source: Path | None = None
    kconfig: tuple[Path, ...] = ()
    args: str = ""


@dataclass(frozen=True)
class FreeRtosApp:
    """A FreeRTOS application: a folder of C files, linked with our port and a kernel.

    ``kernel_tree`` is a FreeRTOS-Kernel folder of the user's; ``None`` means the packaged one.
    """

    app: Path
    kernel_tree: Path | None = None
    emergency_console: bool = False


@dataclass(frozen=True)
class Project:
    """A project of the user's own: ``build`` is run in ``project``, inside the toolchain."""

    project: Path
    build: tuple[str, ...]
    kernel: Path
    elf: Path | None = None


@dataclass(frozen=True)
class Prebuilt:
    """Any kernel that Xen takes, used as it is."""

    kernel: Path
    ramdisk: Path | None = None


@dataclass(frozen=True)
class Scheduling:
    """A domain's share of the processors, in the words of Xen's scheduler ``name``.

    rtds: within each ``period`` (seconds) each vCPU gets ``budget`` (seconds), and with
    ``extratime`` also what nobody else has reserved. credit and credit2: a share in proportion
    to ``weight``, at most ``cap`` percent of one CPU (0: no limit). ``None``: Xen's default.
    """

    name: str = ""
    period: float | None = None
    budget: float | None = None
    extratime: bool | None = None
    weight: int | None = None
    cap: int | None = None


@dataclass(frozen=True)
class GuestSpec:
    """A guest of labs.yaml. ``cpus`` are the PCPUs it is pinned to; empty: any.

    ``trace``: bytes of its memory that hold its timing trace; 0: it keeps none.
    ``may_crash``: its crash does not fail a run.
    """

    name: str
    program: FreeRtosApp | Project | Prebuilt
    memory: int = 16 << 20
    vcpus: int = 1
    cpus: tuple[int, ...] = ()
    cmdline: str = ""
    scheduler: Scheduling | None = None
    trace: int = 0
    may_crash: bool = False


@dataclass(frozen=True)
class Expectation:
    """What must be seen: ``text`` (literal or, if ``regex``, a pattern) on console ``on``.

    ``on`` is ``xen``, ``dom0`` or a guest's name; ``within`` is seconds from the moment at
    which the guests run. ``line`` is where in labs.yaml it stands, from 1.
    """

    on: str
    text: str
    regex: bool = False
    within: float = 30.0
    line: int = field(default=0, compare=False)


class Act(StrEnum):
    """What a step of a scenario does."""

    WAIT = "wait"
    TYPE = "type"
    EXEC = "exec"
    INJECT = "inject"
    DESTROY = "destroy"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    RESTART = "restart"
    COLLECT = "collect"
    SILENT = "silent"
    PARALLEL = "parallel"


@dataclass(frozen=True)
class Step:
    """One step of a scenario; docs/scenarios.md has the meaning of each.

    Attributes:
        on: its console (wait, silent) or guest (type and what is done to a domain).
        text: what is waited for, typed, or executed in dom0; the path that is collected.
        regex: ``text`` of a wait, or ``output`` of an exec, is a pattern.
        output: what an exec must print; empty: anything.
        status: with which status an exec must end.
        within: seconds from the step's start; of a silence how long it lasts.
        name: the file's name of what is collected.
        enter: Enter is pressed after what is typed.
        members: the steps of a parallel group.
        line: where in labs.yaml it stands, from 1.
    """

    do: Act
    on: str = ""
    text: str = ""
    regex: bool = False
    output: str = ""
    status: int = 0
    within: float = 30.0
    name: str = ""
    enter: bool = True
    members: tuple[Step, ...] = ()
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Never:
    """What no line may hold for the whole run; ``on`` is empty for every console."""

    text: str
    on: str = ""
    regex: bool = False
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Threshold:
    """A limit to a figure of a task's trace: ``statistic`` (p99, max, …) of ``figure``.

    ``limit`` is seconds, or a number where the figure counts something. ``guest`` is empty if
    any guest's task of that name is meant.
    """

    task: str
    figure: str
    limit: float
    statistic: str = ""
    guest: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Dom0Spec:
    """dom0's share of the machine. ``cpus``: PCPUs its vCPUs are pinned to; empty: any.

    ``busy``: it computes without end, whatever else it does.
    """

    memory: int = 256 << 20
    vcpus: int | None = None
    cpus: tuple[int, ...] = ()
    scheduler: Scheduling | None = None
    busy: bool = False


@dataclass(frozen=True)
class XenTrace:
    """What Xen's own trace holds: the event groups as they were named, and as a mask."""

    groups: tuple[str, ...]
    mask: int


@dataclass(frozen=True)
class Lab:
    """One virtual machine with Xen, dom0 and guests, as asked for in labs.yaml.

    ``scheduler`` is the name of Xen's scheduler; empty: the hypervisor's own default.
    ``trace`` is Xen's own trace; ``None``: none is kept. ``expect`` is watched for all at once,
    ``steps`` are taken in order; ``later`` are the guests that only its steps inject. ``line``
    is where in labs.yaml it begins, from 1.
    """

    name: str
    hypervisor: HypervisorSpec
    cpus: int = 1
    memory: int = 1 << 30
    dom0: Dom0Spec = Dom0Spec()
    guests: tuple[GuestSpec, ...] = ()
    expect: tuple[Expectation, ...] = ()
    clock: Clock | None = None
    description: str = ""
    scheduler: str = ""
    trace: XenTrace | None = None
    steps: tuple[Step, ...] = ()
    never: tuple[Never, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    later: tuple[GuestSpec, ...] = ()
    may_crash: bool = False
    line: int = field(default=0, compare=False)

    @property
    def traced(self) -> tuple[str, ...]:
        """The guests that keep a timing trace."""
        return tuple(guest.name for guest in (*self.guests, *self.later) if guest.trace)


@dataclass(frozen=True)
class Matrix:
    """One experiment over its axes: in each row a lab for each column."""

    name: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]]
    description: str = ""


@dataclass(frozen=True)
class Labs:
    """A whole labs.yaml, checked."""

    file: Path
    hypervisors: Mapping[str, HypervisorSpec]
    guests: Mapping[str, GuestSpec]
    labs: Mapping[str, Lab]
    matrices: Mapping[str, Matrix] = field(default_factory=dict)


# ---------------------------------------------------------------- what is planned


@dataclass(frozen=True)
class MachinePlan:
    """The virtual board: the arguments of ``-machine virt`` that matter to everybody."""

    cpus: int
    memory: int
    clock: Clock


def board_arguments(machine: MachinePlan) -> tuple[str, ...]:
    """QEMU's arguments for the board itself: what decides its device tree.

    The tree that Xen is given was dumped from exactly this board with two ``-serial``;
    the machine must be started with the same. Without ``ioeventfd`` a device answers dom0 at
    once, not when the main loop gets to it, which under the virtual clock would be chance.
    """
    return (
        "-machine", "virt,virtualization=on,highmem=off",
        "-cpu", "cortex-a15",
        "-m", f"{machine.memory >> 20}M",
        "-smp", str(machine.cpus),
        "-nic", "none", "-display", "none", "-no-reboot",
        "-global", "virtio-mmio.force-legacy=false",
        "-global", "virtio-mmio.ioeventfd=off",
    )  # fmt: skip


@dataclass(frozen=True)
class GuestPlan:
    """A guest as the toolstack will see it. ``config`` is the text of its xl configuration.

    ``scheduling``: words for ``xl`` that give it its share before it runs; the domain's name
    is appended.
    """

    name: str
    spec: GuestSpec
    config: str
    scheduling: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Everything that follows from a :class:`Lab` without looking at the world."""

    lab: Lab
    machine: MachinePlan
    xen_args: str
    dom0_args: str
    consoles: tuple[str, ...]
    guests: tuple[GuestPlan, ...]
    dom0_scheduling: tuple[str, ...] = ()
    later: tuple[GuestPlan, ...] = ()

    @property
    def all_guests(self) -> tuple[GuestPlan, ...]:
        """Those that the lab begins with, and those that its steps inject."""
        return (*self.guests, *self.later)


# ---------------------------------------------------------------- what is built


@dataclass(frozen=True)
class Package:
    """One binary or source package file, by name, version, architecture and sha256."""

    name: str
    version: str
    arch: str
    sha256: str
    size: int
    path: Path


@dataclass(frozen=True)
class Image:
    """One built file in the store. ``inputs`` is what its key was made of."""

    kind: str
    path: Path
    sha256: str
    size: int
    key: str
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Images:
    """What the machine boots. ``symbols`` is the hypervisor's ELF file, if there is one."""

    hypervisor: Image
    kernel: Image
    initramfs: Image
    devicetree: Image
    symbols: Image | None = None


@dataclass(frozen=True)
class GuestImage:
    """What a guest boots. ``elf`` is for debuggers and symbols."""

    name: str
    kernel: Image
    ramdisk: Image | None = None
    elf: Image | None = None
    library: Image | None = None

    def parts(self) -> dict[str, Image]:
        """The files that there are, by what they are."""
        found = {
            "kernel": self.kernel,
            "ramdisk": self.ramdisk,
            "elf": self.elf,
            "library": self.library,
        }
        return {name: image for name, image in found.items() if image}


# ---------------------------------------------------------------- how programs are run


@dataclass(frozen=True)
class Mount:
    """A folder or file of the host, visible at ``target`` inside the toolchain."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True)
class Completed:
    """A program that ended: exit status (negative: signal), and what it wrote."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes
    seconds: float


@dataclass(frozen=True)
class ProgramRecord:
    """Who a started program is, so that a later command finds it and nothing else.

    ``id`` is a pid (rootfs, host) or a container id; ``boot_id`` and ``start_time`` (clock
    ticks since boot, field 22 of proc_pid_stat(5)) make a pid unambiguous. Of a container,
    ``pid`` is its first process as this host sees it, ``engine`` where its engine listens.
    """

    door: Door
    id: str
    boot_id: str = ""
    start_time: int = 0
    tag: str = ""
    pid: int = 0
    engine: str = ""


class Program(Protocol):
    """A program that was started and goes on by itself."""

    @property
    def record(self) -> ProgramRecord: ...

    def alive(self) -> bool: ...

    def wait(self, timeout: float) -> bool:
        """Wait until it has ended; ``False`` if it has not after ``timeout`` seconds."""
        ...

    def returncode(self) -> int | None:
        """Its exit status, or ``None`` if it still runs or was not our child.

        Raises:
            ToolchainError: it ended because its toolchain did (an engine that is gone).
        """
        ...

    def kill(self) -> None:
        """End it, and everything that it started, now; harmless when it has ended."""
        ...


@dataclass(frozen=True)
class ToolchainInfo:
    """What ``toolchain.info`` prints. ``lock``: the lock's digest; ``drift``: what differs."""

    door: Door
    key: str
    where: str
    origin: str
    size: int
    versions: Mapping[str, str]
    packages: Mapping[str, str]
    lock: str = ""
    drift: tuple[str, ...] = ()


class Toolchain(Protocol):
    """Run this argv with these folders. Inside there is no network unless asked for."""

    @property
    def door(self) -> Door: ...

    @property
    def key(self) -> str:
        """Identity by content: two toolchains with one key build the same bytes."""
        ...

    def run(
        self,
        argv: Sequence[str],
        *,
        mounts: Sequence[Mount] = (),
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        network: bool = False,
        timeout: float = 300.0,
        check: bool = True,
        stdin: bytes = b"",
    ) -> Completed:
        """Run to the end.

        Raises:
            ToolchainError: the door is broken, or ``check`` and the status is not 0 (with
                the command and its last lines), or it took longer than ``timeout``.
        """
        ...

    def start(
        self,
        argv: Sequence[str],
        *,
        mounts: Sequence[Mount],
        tag: str,
        log: IO[bytes],
        keep_fds: Sequence[int] = (),
        largest_file: int | None = None,
    ) -> Program:
        """Start a program that outlives this process. Its output goes to ``log``.

        ``keep_fds`` are flock(2)s, held until it ends: it inherits the descriptors or, in a
        container, locks the files beside them itself (:func:`lab.util.files.twin`).
        ``largest_file``: bytes; what it writes into one file beyond that is refused to it
        (setrlimit(2), ``RLIMIT_FSIZE``), and it lives on.
        """
        ...

    def adopt(self, record: ProgramRecord) -> Program:
        """The program of an earlier :meth:`start`, perhaps by another process."""
        ...

    def info(self) -> ToolchainInfo: ...


# ---------------------------------------------------------------- what came of it


class State(StrEnum):
    """The states of a session, in order."""

    OFF = "off"
    XEN = "xen"
    DOM0 = "dom0"
    GUESTS = "guests"


@dataclass(frozen=True)
class Domain:
    """A line of ``xl list``. ``time`` is CPU seconds used; ``memory`` is bytes."""

    name: str
    id: int
    memory: int
    vcpus: int
    state: str
    time: float


@dataclass(frozen=True)
class Verdict:
    """Pass, or the layer that failed and why.

    ``tail`` is the last lines of the console concerned, harmless to print.
    """

    passed: bool
    layer: Layer | None = None
    reason: str = ""
    exit_status: ExitStatus = ExitStatus.PASS
    tail: str = ""
