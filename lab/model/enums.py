"""Fixed sets of words: layers, exit statuses, clocks, doors, acts of a scenario, states."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Layer(StrEnum):
    """The part of a lab that failed, from the bottom up."""

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
    """A way to the toolchain's programs."""

    ROOTFS = "rootfs"
    DOCKER = "docker"
    HOST = "host"


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


class State(StrEnum):
    """The states of a session, in order."""

    OFF = "off"
    XEN = "xen"
    DOM0 = "dom0"
    GUESTS = "guests"
