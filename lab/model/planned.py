"""A plan: everything about one start of a lab that is decided before it."""

from __future__ import annotations

from dataclasses import dataclass

from lab.model.architecture import ARM32, Architecture
from lab.model.board import WINDOW_SIZE
from lab.model.disturbance import Disturbance, Variable
from lab.model.enums import Clock
from lab.model.spec import GuestSpec, Lab


@dataclass(frozen=True)
class MachinePlan:
    """The virtual board: the arguments of ``-machine virt`` that other rooms need too.

    ``cpu``, ``gic``: its processor and the version of its interrupt controller; if they are empty
    or 0, the defaults of ``arch``.
    """

    cpus: int
    memory: int
    clock: Clock
    arch: Architecture = ARM32
    cpu: str = ""
    gic: int = 0


def processor_arguments(machine: MachinePlan) -> tuple[str, ...]:
    """QEMU's arguments for the kind of board, its processor and its interrupt controller."""
    arch = machine.arch
    board = arch.machine.format(gic=machine.gic or arch.gics[0])
    return ("-machine", board, "-cpu", machine.cpu or arch.cpus[0])


def board_arguments(machine: MachinePlan) -> tuple[str, ...]:
    """QEMU's arguments for the board itself. They decide its device tree.

    Xen's device tree was dumped from exactly this board with two ``-serial``, so the machine must
    be started with the same. Without ``ioeventfd`` a device answers dom0 at once. With it, a device
    answers when QEMU's main loop gets to it. Under the virtual clock that would depend on chance.
    """
    return (
        *processor_arguments(machine),
        "-m", f"{machine.memory + WINDOW_SIZE >> 20}M",
        "-smp", str(machine.cpus),
        "-nic", "none", "-display", "none", "-no-reboot",
        "-global", "virtio-mmio.force-legacy=false",
        "-global", "virtio-mmio.ioeventfd=off",
    )  # fmt: skip


@dataclass(frozen=True)
class GuestPlan:
    """A guest as the toolstack sees it. ``config`` is the text of its xl configuration.

    ``scheduling``: the words of the ``xl`` command that gives it its share before it runs,
    without the domain's name. ``cmdline``: its whole command line.
    """

    name: str
    spec: GuestSpec
    config: str
    scheduling: tuple[str, ...] = ()
    cmdline: str = ""


@dataclass(frozen=True)
class Plan:
    """Everything that follows from a :class:`Lab` alone, without I/O.

    ``pool``: the commands in dom0 that make the CPU pool of the guests, before there are guests.
    ``schedule``: the command in dom0 that sets the schedule of arinc653, when they are there.
    ``seed``: that of its ``disturbances``; ``None``: the run is not disturbed.
    """

    lab: Lab
    machine: MachinePlan
    xen_args: str
    dom0_args: str
    consoles: tuple[str, ...]
    guests: tuple[GuestPlan, ...]
    dom0_scheduling: tuple[str, ...] = ()
    later: tuple[GuestPlan, ...] = ()
    pool: tuple[tuple[str, ...], ...] = ()
    schedule: tuple[str, ...] = ()
    seed: int | None = None
    disturbances: tuple[Disturbance, ...] = ()

    @property
    def in_order(self) -> tuple[GuestPlan, ...]:
        """Those that the toolstack creates with the lab, in this order; last the neighbour."""
        order = [one.on.split(",") for one in self.disturbances if one.what is Variable.ORDER]
        found = [guest for guest in self.guests if not guest.spec.by_xen]
        for names in order:
            found.sort(key=lambda guest: names.index(guest.name))
        return (*found, *([self.neighbour] if self.neighbour else []))

    @property
    def neighbour(self) -> GuestPlan | None:
        """The guest that is created with the lab, but runs only as a disturbance."""
        if self.seed is None or self.lab.dom0.busy:
            return None
        wanted = self.lab.explore.neighbour
        return next((guest for guest in self.later if guest.name == wanted), None)

    @property
    def created(self) -> tuple[GuestPlan, ...]:
        """Those that the toolstack creates."""
        return tuple(guest for guest in self.all_guests if not guest.spec.by_xen)

    @property
    def booted(self) -> tuple[GuestPlan, ...]:
        """Those that Xen creates while it boots; the first one becomes domain 1."""
        return tuple(guest for guest in self.guests if guest.spec.by_xen)

    @property
    def all_guests(self) -> tuple[GuestPlan, ...]:
        """The guests with which the lab starts, and the guests that its steps inject."""
        return (*self.guests, *self.later)

    @property
    def guest_consoles(self) -> tuple[str, ...]:
        """The names of the consoles that dom0 carries; each has a port of dom0."""
        return tuple(name for guest in self.created for name in guest.spec.consoles)
