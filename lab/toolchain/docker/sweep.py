"""Labels our containers and images with their makers, and removes what dead commands left.

The labels name the user and the process that made a container or an image. It is left over only
if that process has ended. The container of a machine has its lab's name too, and is kept as long
as the lab's record names it. Containers and images without our labels are ignored.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.errors import ToolchainError
from lab.rundir import LabDir, runtime_root
from lab.toolchain.docker import used
from lab.toolchain.docker.engine import PROBE_SECONDS, Engine
from lab.util import process

_PREFIX = "org.xenlab."
MAKER, USER = f"{_PREFIX}maker", f"{_PREFIX}user"
LAB, HOME, RUN = f"{_PREFIX}lab", f"{_PREFIX}home", f"{_PREFIX}run"
#: The names of complete images, and of temporary ones.
IMAGE_NAME, BASE_NAME = "xenlab-toolchain", "xenlab-base"
TOOLCHAIN, BASE = f"{_PREFIX}toolchain", f"{_PREFIX}base"


def labels() -> dict[str, str]:
    """The labels of everything that this process makes."""
    return {MAKER: maker(), USER: str(os.getuid())}


def machine_labels(tag: str) -> dict[str, str]:
    """The labels by which the container of a lab's machine is found."""
    return {LAB: tag.rpartition("-")[2], HOME: str(runtime_root())}


def maker() -> str:
    """The identity of this process: boot id of the host, pid namespace, pid, start time."""
    pid = os.getpid()
    return f"{process.boot_id()}/{_namespace()}/{pid}/{process.start_time(pid)}"


def is_dead(identity: str) -> bool:
    """Whether the process with this identity has ended; ``False`` if that cannot be known."""
    boot, namespace, pid, start = identity.split("/")
    if boot != process.boot_id():
        return True
    return namespace == _namespace() and process.start_time(int(pid)) != int(start)


def engines() -> list[Engine]:
    """The engines that were used and whose sockets still exist."""
    return [Engine(one) for one in used.engines()]


def sweep_engines() -> list[str]:
    """Remove what is left over at the engines that were used. Returns what was removed, in words.

    An engine that does not answer is skipped. The next command asks it again.
    """
    done = []
    for engine in engines():
        with contextlib.suppress(ToolchainError):
            done += _sweep(engine)
    return done


def containers(engine: Engine, labels: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """The containers of this user with these labels (``None``: any value), running or not.

    Raises:
        ToolchainError: the engine does not answer.
    """
    return _ask(engine, "/containers/json", {"all": "true", "filters": _filter(labels)})


def _sweep(engine: Engine) -> list[str]:
    done = []
    for one in containers(engine, {MAKER: None}):
        if not _is_wanted(one["Id"], one["Labels"]):
            with contextlib.suppress(ToolchainError):
                remove_container(engine, one["Id"])
                done.append(f"container {one['Names'][0].lstrip('/')} was left over; removed")
    return [*done, *remove_images(engine)]


def remove_images(engine: Engine, maker: str | None = None) -> list[str]:
    """Remove images that builds left: those of dead makers, and those of ``maker``.

    Complete images stay. Returns what was removed, in words.

    Raises:
        ToolchainError: the engine does not answer.
    """
    done = []
    for one in _ask(engine, "/images/json", {"filters": _filter({MAKER: None})}):
        tags = [tag for tag in one["RepoTags"] or () if tag != "<none>:<none>"]
        whole = any(tag.startswith(f"{IMAGE_NAME}:") for tag in tags)
        made_by = one["Labels"][MAKER]
        if not whole and (made_by == maker or is_dead(made_by)):
            with contextlib.suppress(ToolchainError):
                query = {"force": "true"}
                name = tags[0] if tags else one["Id"]
                engine.call(f"DELETE /images/{name}", what="remove an image", query=query)
                done.append(f"image {name} was left over; removed")
    return done


def remove_container(engine: Engine, container: str) -> None:
    """Kill a container if it runs, and remove it and its volumes.

    Raises:
        ToolchainError: the engine does not answer or refuses.
    """
    query = {"force": "true", "v": "true"}
    engine.call(f"DELETE /containers/{container}", what="remove a container", query=query)


def _ask(engine: Engine, path: str, query: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = engine.call(f"GET {path}", what="list", query=query, timeout=PROBE_SECONDS)
    return list(found or ())


def _filter(labels: Mapping[str, str | None]) -> dict[str, list[str]]:
    wanted = {USER: str(os.getuid()), **labels}
    return {"label": [k if value is None else f"{k}={value}" for k, value in wanted.items()]}


def _is_wanted(container: str, seen: Mapping[str, str]) -> bool:
    if not is_dead(seen[MAKER]):
        return True
    if LAB not in seen or not Path(seen[HOME]).is_dir():
        return False
    if seen[HOME] != str(runtime_root()):
        return True
    state = LabDir(runtime_root() / seen[LAB]).state() or {}
    return bool((state.get("program") or {}).get("id") == container)


def _namespace() -> str:
    return os.readlink("/proc/self/ns/pid").strip("pid:[]")  # noqa: PTH115
