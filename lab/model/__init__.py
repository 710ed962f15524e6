"""The lab as frozen data: what labs.yaml asks for, what is planned, built, and observed.

This room imports nothing else of the project. Sizes are bytes and times are seconds, unless a
name says otherwise. Paths are absolute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import lazy

if TYPE_CHECKING:
    from lab.model.architecture import (
        ARCHITECTURES,
        ARM32,
        ARM64,
        Architecture,
        Debian,
        Linux,
        Release,
    )
    from lab.model.board import (
        AGENT_PORT,
        BOOTED_ADDRESS,
        CONSOLE_PORT,
        DOMAINS_PORT,
        INITRAMFS_ADDRESS,
        KERNEL_ADDRESS,
        RAM_BASE,
        STEPS_ADDRESS,
        STEPS_APART,
        TIMES_PORT,
        TRACE_LOG_PORT,
        TRACE_PORT,
        WINDOW_SIZE,
        XEN_TRACE_PORT,
    )
    from lab.model.built import GuestImage, Image, Images, Package, Toolstack
    from lab.model.devices import DRIVERS, Disk, Ends, Vif
    from lab.model.disturbance import Bounds, Disturbance, Variable
    from lab.model.enums import Act, Clock, Door, ExitStatus, Layer, State
    from lab.model.labs_file import Labs, Matrix
    from lab.model.observed import Domain, Verdict, guest_names
    from lab.model.place import Place, Refusal
    from lab.model.planned import GuestPlan, MachinePlan, Plan, board_arguments, processor_arguments
    from lab.model.programs import (
        Command,
        Completed,
        Mount,
        Program,
        ProgramRecord,
        StartOptions,
        Toolchain,
        ToolchainInfo,
    )
    from lab.model.scenario import Expectation, Never, Step, Threshold
    from lab.model.spec import (
        VUART,
        Channel,
        Dom0Spec,
        FreeRtosApp,
        GuestSpec,
        HypervisorSpec,
        Lab,
        LinuxGuest,
        Prebuilt,
        Project,
        Schedule,
        Scheduling,
        SharedMemory,
        Window,
        XenTrace,
    )

#: The module of each name. It is imported when the name is used for the first time.
_HOMES = {
    "lab.model.architecture": (
        "ARCHITECTURES", "ARM32", "ARM64", "Architecture", "Debian", "Linux", "Release",
    ),
    "lab.model.board": (
        "AGENT_PORT", "BOOTED_ADDRESS", "CONSOLE_PORT", "DOMAINS_PORT", "INITRAMFS_ADDRESS",
        "KERNEL_ADDRESS", "RAM_BASE", "STEPS_ADDRESS", "STEPS_APART", "TIMES_PORT",
        "TRACE_LOG_PORT", "TRACE_PORT", "WINDOW_SIZE", "XEN_TRACE_PORT",
    ),
    "lab.model.built": ("GuestImage", "Image", "Images", "Package", "Toolstack"),
    "lab.model.devices": ("DRIVERS", "Disk", "Ends", "Vif"),
    "lab.model.disturbance": ("Bounds", "Disturbance", "Variable"),
    "lab.model.enums": ("Act", "Clock", "Door", "ExitStatus", "Layer", "State"),
    "lab.model.labs_file": ("Labs", "Matrix"),
    "lab.model.observed": ("Domain", "Verdict", "guest_names"),
    "lab.model.place": ("Place", "Refusal"),
    "lab.model.planned": (
        "GuestPlan", "MachinePlan", "Plan", "board_arguments", "processor_arguments",
    ),
    "lab.model.programs": (
        "Command", "Completed", "Mount", "Program", "ProgramRecord", "StartOptions",
        "Toolchain", "ToolchainInfo",
    ),
    "lab.model.scenario": ("Expectation", "Never", "Step", "Threshold"),
    "lab.model.spec": (
        "Channel", "Dom0Spec", "FreeRtosApp", "GuestSpec", "HypervisorSpec", "Lab",
        "LinuxGuest", "Prebuilt", "Project", "Schedule", "Scheduling", "SharedMemory",
        "VUART", "Window", "XenTrace",
    ),
}  # fmt: skip
if not TYPE_CHECKING:  # a checker would take every name for one of ours
    __getattr__ = lazy.exports(__name__, _HOMES)

__all__ = [
    "AGENT_PORT",
    "ARCHITECTURES",
    "ARM32",
    "ARM64",
    "BOOTED_ADDRESS",
    "CONSOLE_PORT",
    "DOMAINS_PORT",
    "DRIVERS",
    "INITRAMFS_ADDRESS",
    "KERNEL_ADDRESS",
    "RAM_BASE",
    "STEPS_ADDRESS",
    "STEPS_APART",
    "TIMES_PORT",
    "TRACE_LOG_PORT",
    "TRACE_PORT",
    "VUART",
    "WINDOW_SIZE",
    "XEN_TRACE_PORT",
    "Act",
    "Architecture",
    "Bounds",
    "Channel",
    "Clock",
    "Command",
    "Completed",
    "Debian",
    "Disk",
    "Disturbance",
    "Dom0Spec",
    "Domain",
    "Door",
    "Ends",
    "ExitStatus",
    "Expectation",
    "FreeRtosApp",
    "GuestImage",
    "GuestPlan",
    "GuestSpec",
    "HypervisorSpec",
    "Image",
    "Images",
    "Lab",
    "Labs",
    "Layer",
    "Linux",
    "LinuxGuest",
    "MachinePlan",
    "Matrix",
    "Mount",
    "Never",
    "Package",
    "Place",
    "Plan",
    "Prebuilt",
    "Program",
    "ProgramRecord",
    "Project",
    "Refusal",
    "Release",
    "Schedule",
    "Scheduling",
    "SharedMemory",
    "StartOptions",
    "State",
    "Step",
    "Threshold",
    "Toolchain",
    "ToolchainInfo",
    "Toolstack",
    "Variable",
    "Verdict",
    "Vif",
    "Window",
    "XenTrace",
    "board_arguments",
    "guest_names",
    "processor_arguments",
]
