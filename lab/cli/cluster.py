"""Tasks on clusters: a small one here, and workers."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from lab import api
from lab.cli import optional
from lab.cli.command import command
from lab.cli.lab_task import JSON
from lab.cli.output import print_json, say
from lab.progress import Progress

#: The address that only this machine reaches.
HERE = "127.0.0.1"
KEY = "the file with the cluster's key (default: LAB_CLUSTER_KEY, else the one of cluster.up here)"


@command("cluster.up", example="cluster.up --workers 2", json=JSON,
         workers="how many workers to start on this machine (default: 2)",
         address=f"the address to listen on (default: {HERE}, which only this machine reaches)",
         port="the port to listen on (default: any free one)",
         key="the file of the cluster's key, made if missing (default: one of yours)")  # fmt: skip
def cluster_up(workers: int = 2, address: str = HERE, port: int = 0, key: str = "",
               json: bool = False) -> None:  # fmt: skip
    """Have a cluster on this machine until Ctrl-C.

    It prints the address for --cluster, and the file of the key. Workers on other machines join
    with cluster.worker. With --workers 0 there are only those.
    """
    _install()
    api.cluster_up(api.Size(workers, address, port), key, partial(_show, as_json=json), say)


@command("cluster.worker", words=("address",), example="cluster.worker tls://192.0.2.1:8786",
         address="the cluster's address, as cluster.up prints it", key=KEY,
         folder="a folder for what runs need here (default: a new one in the cache)",
         name="the worker's name (default: the machine's name and a number)",
         jobs="how many labs run at once (default: one for each processor)",
         memory="how much memory they have together (default: 3/4 of the machine)")  # fmt: skip
def cluster_worker(address: str, key: str = "", folder: str = "", name: str = "",
                   jobs: int = 0, memory: str = "") -> None:  # fmt: skip
    """Run labs for a cluster until Ctrl-C.

    It takes as many labs at once as this machine has processors, and room in memory.
    """
    _install()
    room = api.limit(memory=memory).room.memory if memory else 0
    station = api.Station(Path(folder) if folder else None, name, jobs, room)
    api.cluster_worker(api.Cluster(address, key), station, _ready)


def chosen(address: str) -> api.Cluster | None:
    """The cluster of ``--cluster`` or ``LAB_CLUSTER``; ``None``: labs run here."""
    address = address or os.environ.get("LAB_CLUSTER", "")
    if not address:
        return None
    _install()
    return api.Cluster(address)


def _install() -> None:
    optional.have("distributed", "cluster", Progress())


def _ready(name: str) -> None:
    say(f"worker {name} is ready; Ctrl-C ends it")


def _show(address: str, key: Path, *, as_json: bool) -> None:
    if as_json:
        found: dict[str, Any] = {"address": address, "key": str(key)}
        print_json(found)
    else:
        print(f"address  {address}\nkey      {key}", flush=True)
    say("the cluster is ready; Ctrl-C ends it")
