"""The words of the lab as frozen data: what is wanted, planned, built and seen.

A leaf: imports nothing of the project. Sizes are bytes, times are seconds, unless a name
says otherwise. Paths are absolute.
"""

from __future__ import annotations

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
from lab.model.built import GuestImage, Image, Images, Package
from lab.model.enums import Act, Clock, Door, ExitStatus, Layer, State
from lab.model.observed import Domain, Verdict
from lab.model.place import Place, Refusal
from lab.model.planned import GuestPlan, MachinePlan, Plan, board_arguments
from lab.model.programs import Completed, Mount, Program, ProgramRecord, Toolchain, ToolchainInfo
from lab.model.scenario import Expectation, Never, Step, Threshold
from lab.model.spec import (
    Dom0Spec,
    FreeRtosApp,
    GuestSpec,
    HypervisorSpec,
    Lab,
    Labs,
    LinuxGuest,
    Matrix,
    Prebuilt,
    Project,
    Scheduling,
    XenTrace,
)

__all__ = [
    "AGENT_PORT",
    "BOOTED_ADDRESS",
    "CONSOLE_PORT",
    "DOMAINS_PORT",
    "INITRAMFS_ADDRESS",
    "KERNEL_ADDRESS",
    "RAM_BASE",
    "STEPS_ADDRESS",
    "STEPS_APART",
    "TIMES_PORT",
    "TRACE_LOG_PORT",
    "TRACE_PORT",
    "WINDOW_SIZE",
    "XEN_TRACE_PORT",
    "Act",
    "Clock",
    "Completed",
    "Dom0Spec",
    "Domain",
    "Door",
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
    "Scheduling",
    "State",
    "Step",
    "Threshold",
    "Toolchain",
    "ToolchainInfo",
    "Verdict",
    "XenTrace",
    "board_arguments",
]
