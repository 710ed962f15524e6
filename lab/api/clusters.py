"""Clusters: a small one on this machine, and a worker."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lab.api.far import check_packages
from lab.cluster.sizes import Cluster, Size, Station
from lab.store import cache_root
from lab.util import signals


def cluster_up(
    size: Size, key: str, ready: Callable[[str, Path], None], told: Callable[[str], None]
) -> None:
    """Have a cluster on this machine until Ctrl-C. ``ready`` gets its address and its key's file,
    ``told`` a sentence about each worker that ends by itself.

    Raises:
        UsageError: the address cannot be used, or a package is missing.
        LabError: all its workers have ended.
        KeyboardInterrupt: it was told to stop. Its labs have ended.
    """
    check_packages()
    from lab.cluster import keys, pool

    file = Path(key) if key else keys.usual()
    with _temporary("cluster-") as folder:
        crew = pool.Crew(Path(folder), told)
        try:
            signals.run(pool.serve(size, file, crew, lambda address: ready(address, file)))
        finally:
            with signals.held_back():
                crew.close()


def cluster_worker(cluster: Cluster, station: Station, ready: Callable[[str], None]) -> None:
    """Be a worker of a cluster until Ctrl-C. ``ready`` gets the worker's name.

    Raises:
        UsageError: the address is wrong, or a package is missing.
        LabError: the scheduler cannot be reached, or has ended.
        KeyboardInterrupt: it was told to stop. Its labs have ended.
    """
    check_packages()
    from lab.cluster import keys, worker

    access = keys.named(cluster.address, cluster.key)
    with contextlib.ExitStack() as stack:
        folder = station.folder or Path(stack.enter_context(_temporary("worker-")))
        station = replace(station, folder=folder)
        bench = stack.enter_context(worker.bench(station))
        signals.run(worker.work(access, station, bench, ready))


def _temporary(prefix: str) -> tempfile.TemporaryDirectory[str]:
    cache = cache_root()
    cache.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix=prefix, dir=cache)
