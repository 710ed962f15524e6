"""Runs programs: one toolchain, a set of packages, behind several doors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import lazy

if TYPE_CHECKING:
    from lab.toolchain.host import this_machine
    from lab.toolchain.opening import open_toolchain
    from lab.toolchain.request import ToolchainRequest
    from lab.toolchain.started import adopt, homes_of_machines, programs_of, sweep_engines

__all__ = [
    "ToolchainRequest", "adopt", "homes_of_machines", "open_toolchain", "programs_of",
    "sweep_engines", "this_machine",
]  # fmt: skip

#: The module of each name. It is imported when the name is used for the first time.
_HOMES = {
    "lab.toolchain.host": ("this_machine",),
    "lab.toolchain.opening": ("open_toolchain",),
    "lab.toolchain.request": ("ToolchainRequest",),
    "lab.toolchain.started": ("adopt", "homes_of_machines", "programs_of", "sweep_engines"),
}
if not TYPE_CHECKING:  # with this, a type checker would accept every name
    __getattr__ = lazy.exports(__name__, _HOMES)
