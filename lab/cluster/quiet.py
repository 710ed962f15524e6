"""Keeps the engine's own log away from people: what they need is said in our words. It does
not watch itself, as nobody can see its pages here."""

from __future__ import annotations

import logging

import dask.config


def quiet() -> None:
    """From now on the engine only says what ends it. It looks at its own event loop twice a second
    instead of 50 times, at the load of the machine once a minute, and at its stacks never."""
    dask.config.set({
        "distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "500ms",
        "distributed.admin.system-monitor.interval": "60s",
        "distributed.admin.system-monitor.disk": False,
        "distributed.admin.system-monitor.gil.enabled": False,
    })  # fmt: skip
    for name in ("distributed", "tornado", "asyncio", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
