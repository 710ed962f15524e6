"""What the user asks for: a checked labs.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab.model.architecture import ARM32, Architecture
from lab.model.devices import Disk, Ends, Vif
from lab.model.disturbance import Bounds
from lab.model.enums import Clock
from lab.model.place import Place, Refusal
from lab.model.scenario import Expectation, Never, Step, Threshold


@dataclass(frozen=True)
class HypervisorSpec:
    """A hypervisor of labs.yaml. ``origin`` is ``package`` or ``source``.

    ``tools``: dom0's tools are Debian's (``package``), or are built from the tree ``source``.
    ``release``: the release of Xen whose packages Xen and dom0 are made of, such as ``4.20``;
    empty: the architecture's default. ``work``: a folder where its objects stay, so that the next
    build of a similar tree takes less time; ``None``: each build begins with nothing.
    """

    name: str
    origin: str = "package"
    source: Path | None = None
    kconfig: tuple[Path, ...] = ()
    args: str = ""
    tools: str = "package"
    release: str = ""
    work: Path | None = field(default=None, compare=False)


@dataclass(frozen=True)
class FreeRtosApp:
    """A FreeRTOS application: a folder of C files, linked with our port and a kernel.

    ``kernel_tree`` is the user's FreeRTOS-Kernel folder; ``None`` means the packaged one.
    """

    app: Path
    kernel_tree: Path | None = None
    emergency_console: bool = False


@dataclass(frozen=True)
class Project:
    """The user's own project. ``build`` runs in the folder ``project``, inside the toolchain."""

    project: Path
    build: tuple[str, ...]
    kernel: Path
    elf: Path | None = None


@dataclass(frozen=True)
class LinuxGuest:
    """Debian's Linux, with an initramfs of busybox and the ``files`` of a folder, ``init`` too."""

    files: Path


@dataclass(frozen=True)
class Prebuilt:
    """Any kernel that Xen takes, used as it is."""

    kernel: Path
    ramdisk: Path | None = None


@dataclass(frozen=True)
class Scheduling:
    """A domain's share of the processors, in the words of Xen's scheduler ``name``.

    rtds: within each ``period`` (seconds) each vCPU gets ``budget`` (seconds). With
    ``extratime`` it also gets time that nobody has reserved. credit and credit2: a share in
    proportion to ``weight``, at most ``cap`` percent of one CPU (0: no limit). ``None``: Xen's
    default. ``pool``: the CPU pool that the domain is created in; ``None``: the one of dom0.
    """

    name: str = ""
    period: float | None = None
    budget: float | None = None
    extratime: bool | None = None
    weight: int | None = None
    cap: int | None = None
    pool: str | None = None


@dataclass(frozen=True)
class Window:
    """``runtime`` seconds in which a vCPU of ``domain`` (a guest, or ``dom0``) may run."""

    domain: str
    runtime: float
    vcpu: int = 0


@dataclass(frozen=True)
class Schedule:
    """The schedule of Xen's scheduler arinc653: its windows follow each other in each frame.

    ``frame``: the length of the major frame in seconds. No domain runs in what the windows leave
    of it.
    """

    frame: float
    windows: tuple[Window, ...]


#: The end of the name of a UART's console (tools/console/daemon/io.c of Xen).
VUART = "-vuart0"


@dataclass(frozen=True)
class GuestSpec:
    """A guest of labs.yaml.

    Attributes:
        trace: bytes of its memory for its timing trace; 0 if it has none.
        cpus: the PCPUs to which it is pinned; empty: any.
        cpus_of_all: leave out those of ``cpus`` that the machine does not have.
        may_crash: its crash does not fail a run.
        by_xen: Xen creates it while it boots, as its device tree says. Its console is then the
            PL011 that Xen emulates.
        static_memory: the address of the machine's memory that becomes the guest's; 0: any.
        direct_map: the guest sees ``static_memory`` at the same address.
        ends: what ``xl`` does with its domain when it has ended.
        width: 32 or 64 bits; 0: that of the lab's architecture, or not known.
        vuart: it also has an emulated UART (SBSA), whose console is :attr:`consoles`' second.
        refused: why it cannot be started although labs.yaml is valid.
        places: the places of the guest's keys in labs.yaml; for a missing key, the guest's own.
    """

    name: str
    program: FreeRtosApp | LinuxGuest | Project | Prebuilt
    memory: int = 16 << 20
    vcpus: int = 1
    cpus: tuple[int, ...] = ()
    cmdline: str = ""
    scheduler: Scheduling | None = None
    trace: int = 0
    may_crash: bool = False
    by_xen: bool = False
    static_memory: int = 0
    direct_map: bool = False
    cpus_of_all: bool = False
    disks: tuple[Disk, ...] = ()
    vifs: tuple[Vif, ...] = ()
    ends: Ends = field(default_factory=Ends)
    vuart: bool = False
    width: int = 0
    refused: tuple[Refusal, ...] = field(default=(), compare=False)
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)

    @property
    def consoles(self) -> tuple[str, ...]:
        """The names of its consoles, as xenconsoled calls their logs: Xen's, and its UART's."""
        return (self.name, f"{self.name}{VUART}") if self.vuart else (self.name,)

    def on(self, cpus: int) -> GuestSpec:
        """The same guest on a machine with this number of PCPUs."""
        there = tuple(cpu for cpu in self.cpus if cpu < cpus)
        return replace(self, cpus=there) if self.cpus_of_all and there else self


@dataclass(frozen=True)
class Dom0Spec:
    """dom0's share of the machine, and its kernel.

    Attributes:
        cpus: PCPUs to which its vCPUs are pinned; empty: any.
        busy: a program in dom0 computes without end.
        kernel: the file of a zImage; ``None``: the packaged kernel, or one built from ``source``.
        modules: the folder of the kernel's modules.
        source: a tree of Linux, to be built with the ``config`` files.
        work: a folder where the objects of ``source`` stay, as for a hypervisor.
        places: the places of its keys in labs.yaml.
    """

    memory: int = 256 << 20
    vcpus: int | None = None
    cpus: tuple[int, ...] = ()
    scheduler: Scheduling | None = None
    busy: bool = False
    kernel: Path | None = None
    modules: Path | None = None
    source: Path | None = None
    config: tuple[Path, ...] = ()
    work: Path | None = field(default=None, compare=False)
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)

    @property
    def own_kernel(self) -> bool:
        """Whether the kernel is one of the user's own."""
        return self.kernel is not None or self.source is not None


@dataclass(frozen=True)
class XenTrace:
    """The events in Xen's own trace: the groups as labs.yaml names them, and their mask."""

    groups: tuple[str, ...]
    mask: int


@dataclass(frozen=True)
class Channel:
    """A static event channel: Xen connects two guests before they start, each at this port."""

    port: int
    guests: tuple[str, ...]


@dataclass(frozen=True)
class SharedMemory:
    """A part of the machine's memory (bytes) that several guests see, all at this address."""

    name: str
    address: int
    size: int
    guests: tuple[str, ...]


@dataclass(frozen=True)
class Lab:
    """One virtual machine with Xen, dom0 and guests, as labs.yaml describes it.

    Attributes:
        scheduler: the name of Xen's scheduler; empty: the hypervisor's default.
        trace: Xen's own trace; ``None`` if there is none.
        schedule: who runs when under the scheduler arinc653; ``None``: nobody sets one.
        expect: the expectations, all of which are watched for at once.
        steps: the steps, which are taken in order.
        later: the guests that only steps inject.
        without_dom0: there is no dom0; Xen boots the guests alone.
        channels, shared_memory: what the guests that Xen boots have in common.
        arch: the architecture of its processors.
        cpu: which processor QEMU emulates; empty: the architecture's default.
        gic: the version of the interrupt controller; 0: the architecture's default.
        explore: what an exploration of the lab may change.
        line: the line of labs.yaml at which the lab begins, from 1.
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
    without_dom0: bool = False
    channels: tuple[Channel, ...] = ()
    shared_memory: tuple[SharedMemory, ...] = ()
    schedule: Schedule | None = None
    arch: Architecture = ARM32
    cpu: str = ""
    gic: int = 0
    explore: Bounds = field(default_factory=Bounds)
    line: int = field(default=0, compare=False)

    @property
    def booted(self) -> tuple[GuestSpec, ...]:
        """The guests that Xen creates while it boots: the first one becomes domain 1."""
        return tuple(guest for guest in self.guests if guest.by_xen)

    @property
    def pool_cpu(self) -> int | None:
        """The CPU that the guests have for themselves, as a CPU pool with the lab's schedule.

        ``None``: there is none, and dom0 is in the schedule too, if there is one.
        """
        return self.cpus - 1 if self.schedule and self.cpus > 1 else None

    @property
    def traced(self) -> tuple[str, ...]:
        """The names of the guests that have a timing trace."""
        return tuple(guest.name for guest in (*self.guests, *self.later) if guest.trace)
