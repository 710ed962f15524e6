"""The same question to two labs, as a table: ``python examples/compare.py [labs.yaml]``.

How long each took to come up, and what its guest's heartbeat of one second was on the host's clock.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lab import api

LABS = {"hello": "hello", "pinned": "alone"}


def ask(file: Path, name: str, guest: str) -> tuple[float, float]:
    """Seconds from the start to guests that run, and between two heartbeats."""
    with api.lab(name, api.Context(file), numbered=True) as lab:
        console = lab.guest(guest)
        console.expect("alive at tick")
        return lab.phases["guests"], console.expect("alive at tick").seconds


def main(file: Path) -> None:
    print(f"{'lab':10} {'up (s)':>10} {'beat (s)':>10}")
    for name, guest in LABS.items():
        up, beat = ask(file, name, guest)
        print(f"{name:10} {up:10.2f} {beat:10.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "labs.yaml"))
