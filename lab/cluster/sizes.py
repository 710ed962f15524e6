"""How large a cluster on this machine is, and a worker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Size:
    """A cluster on this machine.

    Attributes:
        workers: how many workers to start here. 0: none; they are started on other machines.
        address: the address to listen on. Others than 127.0.0.1 let other machines in.
        port: 0: any free one.
    """

    workers: int = 2
    address: str = "127.0.0.1"
    port: int = 0


@dataclass(frozen=True)
class Station:
    """A worker.

    Attributes:
        folder: for what runs need; ``None``: a new one in the cache, removed at the end.
        name: empty: the machine's name and a number.
        labs: how many run at once; 0: one for each processor.
    """

    folder: Path | None = None
    name: str = ""
    labs: int = 0
