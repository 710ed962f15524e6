"""A cluster, and how large one on this machine and a worker are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cluster:
    """A cluster to use: its address, such as ``tls://192.0.2.1:8786``, and the file of its key.

    Without ``key`` it is ``$LAB_CLUSTER_KEY``, else the key of the clusters that this user starts
    on this machine.
    """

    address: str
    key: str = ""


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
        memory: bytes that labs may have together; 0: three quarters of the machine's.
    """

    folder: Path | None = None
    name: str = ""
    labs: int = 0
    memory: int = 0
