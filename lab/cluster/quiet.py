"""Keeps the engine's own log away from people: what they need is said in our words."""

from __future__ import annotations

import logging


def quiet() -> None:
    """From now on the engine only says what ends it."""
    for name in ("distributed", "tornado", "asyncio", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
