"""Loads the modules that commands on a lab use, before there is a command."""

from __future__ import annotations

from importlib import import_module

#: What commands load when they need it, and nearly all commands of a workshop's page do.
MODULES = (
    "lab.api.labs", "lab.api.guests", "lab.api.runs", "lab.config.resolve", "lab.machine.qmp",
    "lab.scenario.thresholds", "asyncinotify", "concurrent.futures.thread",
)  # fmt: skip


def load() -> None:
    """Load them all. That has no effect but time and memory."""
    for name in MODULES:
        import_module(name)
