"""Whose a container or an image is, by its labels; and removing what dead commands left.

Everything that we make at an engine says who made it: user, and the very process. It is left
over when that process is gone, and only then; a machine's container also has its lab, and is
wanted as long as the lab is recorded. Nothing without our labels is ever looked at.

The engines that were used are noted in the folder of live labs, so that a command asks an
engine only where there may be something to find.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.errors import ToolchainError
from lab.rundir import LabDir, runtime_root
from lab.toolchain.docker_engine import PROBE_SECONDS, Engine
from lab.util import files, process

_PREFIX = "org.xenlab."
MAKER, USER = f"{_PREFIX}maker", f"{_PREFIX}user"
LAB, HOME, RUN = f"{_PREFIX}lab", f"{_PREFIX}home", f"{_PREFIX}run"
#: Whole images, and the bases that some are made of.
IMAGE_NAME, BASE_NAME = "xenlab-toolchain", "xenlab-base"
TOOLCHAIN, BASE = f"{_PREFIX}toolchain", f"{_PREFIX}base"


def labels() -> dict[str, str]:
    """What everything made by this process carries."""
    return {MAKER: maker(), USER: str(os.getuid())}


def lab_labels(tag: str, log: Path) -> dict[str, str]:
    """What a machine's container carries besides: its lab, and the folder of its run."""
    return {LAB: tag.rpartition("-")[2], HOME: str(runtime_root()), RUN: str(log.parent)}


def maker() -> str:
    """This very process: boot of the host, pid namespace, pid, start time."""
    pid = os.getpid()
    return f"{process.boot_id()}/{_namespace()}/{pid}/{process.start_time(pid)}"


def is_dead(identity: str) -> bool:
    """Whether the process with this identity is gone; ``False`` if that cannot be seen."""
    boot, namespace, pid, start = identity.split("/")
    if boot != process.boot_id():
        return True
    return namespace == _namespace() and process.start_time(int(pid)) != int(start)


def mark(where: str) -> bool:
    """Note that an engine is used; ``True`` if it was not noted before."""
    if where in _engines():
        return False
    files.write_atomic(_marks(), "".join(f"{one}\n" for one in {*_engines(), where}))
    return True


def sweep() -> list[str]:
    """Remove what is left over at the engines that were used; returns what was done, in words.

    An engine that does not answer is passed over: it is asked again the next time.
    """
    done = []
    for where in _engines():
        with contextlib.suppress(ToolchainError):
            done += _sweep(Engine(where))
    return done


def _sweep(engine: Engine) -> list[str]:
    ours = [f"{USER}={os.getuid()}", MAKER]
    done = []
    query = {"all": "true", "filters": {"label": ours}}
    found = _ask(engine, "/containers/json", query)
    for one in found:
        if not _is_wanted(one["Id"], one["Labels"]):
            with contextlib.suppress(ToolchainError):
                remove_container(engine, one["Id"])
                done.append(f"container {one['Names'][0].lstrip('/')} was left over; removed")
    return [*done, *remove_images(engine)]


def remove_images(engine: Engine, maker: str | None = None) -> list[str]:
    """Remove what builds left: those of dead makers, or of ``maker``; never a whole image.

    Raises:
        ToolchainError: the engine does not answer.
    """
    ours = [f"{USER}={os.getuid()}", MAKER]
    done = []
    for one in _ask(engine, "/images/json", {"filters": {"label": ours}}):
        tags = [tag for tag in one["RepoTags"] or () if tag != "<none>:<none>"]
        whole = any(tag.startswith(f"{IMAGE_NAME}:") for tag in tags)
        made_by = one["Labels"][MAKER]
        if not whole and (made_by == maker or is_dead(made_by)):
            with contextlib.suppress(ToolchainError):
                query = {"force": "true"}
                name = tags[0] if tags else one["Id"]
                engine.call("DELETE", f"/images/{name}", what="remove an image", query=query)
                done.append(f"image {name} was left over; removed")
    return done


def remove_container(engine: Engine, container: str) -> None:
    """End a container, if it runs, and remove it with all that is its own.

    Raises:
        ToolchainError: the engine does not answer or refuses.
    """
    query = {"force": "true", "v": "true"}
    engine.call("DELETE", f"/containers/{container}", what="remove a container", query=query)


def _ask(engine: Engine, path: str, query: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = engine.call("GET", path, what="list", query=query, timeout=PROBE_SECONDS)
    return list(found or ())


def _is_wanted(container: str, seen: Mapping[str, str]) -> bool:
    if not is_dead(seen[MAKER]):
        return True
    if LAB not in seen or not Path(seen[HOME]).is_dir():
        return False
    if seen[HOME] != str(runtime_root()):
        return True
    state = LabDir(runtime_root() / seen[LAB]).state() or {}
    return bool((state.get("program") or {}).get("id") == container)


def _marks() -> Path:
    return runtime_root() / "engines"


def _engines() -> list[str]:
    """The engines that were used and whose socket is still there."""
    try:
        noted = _marks().read_text().split("\n")
    except OSError:
        return []
    return [one for one in noted if one and Path(one.partition("://")[2]).exists()]


def _namespace() -> str:
    return os.readlink("/proc/self/ns/pid").strip("pid:[]")  # noqa: PTH115
