"""The image of the docker door: found at the engine, or built there once.

It is named after its recipe. What it holds was resolved as on an empty machine (see the
Dockerfile), so that its packages, and with them the toolchain's key, are those of the rootfs
door. The files that it was built from, its packages with their hashes among them, are in its
/usr/share/xenlab.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from lab.errors import ToolchainError
from lab.packages import lock as locks
from lab.progress import current
from lab.toolchain import recipe, tree_cache
from lab.toolchain.docker import base_image, sweep
from lab.toolchain.docker.client import SILENT_SECONDS, client, engine_errors, not_built
from lab.toolchain.docker.engine import Engine, RefusedError
from lab.toolchain.request import ANYTHING, ToolchainRequest
from lab.util import debian, files, reading
from lab.util.deadline import Deadline
from lab.util.resources import resource
from lab.util.terminal import escape

if TYPE_CHECKING:
    import docker

Progress = Callable[[str], None]

#: How long the whole build may take.
BUILD_SECONDS = 1800.0

NAME = sweep.IMAGE_NAME
_SHARE = "usr/share/xenlab"
#: The engine paints what a step writes to standard error.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STEP = re.compile(r"^Step (\d+)/(\d+) : (.*)")


@dataclass(frozen=True)
class DockerImage:
    """An image that is there. ``packages``: versions by name; ``security``: the engine's."""

    id: str
    name: str
    key: str
    base: str
    size: int
    packages: Mapping[str, str]
    security: tuple[str, ...]


def image_key(wanted: ToolchainRequest = ANYTHING) -> str:
    """Identity of what was asked for; the image is named after it."""
    asked = [recipe.recipe_key(), _dockerfile().decode(), locks.digest_of(wanted.locked)]
    return files.sha256_json(asked)


def find(engine: Engine, folder: Path, wanted: ToolchainRequest = ANYTHING) -> DockerImage | None:
    """The image of the present recipe, if the engine has it; ``folder`` is ours to cache in.

    Raises:
        ToolchainError: the engine does not answer, or a package's bytes are not the locked
            ones; it is named.
    """
    name = f"{NAME}:{image_key(wanted)[:16]}"
    try:
        seen = engine.call("GET", f"/images/{name}/json", what="show an image")
    except RefusedError as error:
        if error.status == 404:
            return None
        raise
    labels = seen["Config"]["Labels"] or {}
    if labels.get(sweep.TOOLCHAIN) != image_key(wanted):
        return None
    facts = _facts(engine, seen["Id"], folder)
    pins = facts["packages"]
    tree_cache.check(wanted.locked, tree_cache.pins(pins))
    return DockerImage(
        id=seen["Id"],
        name=name,
        key=locks.toolchain_key(tree_cache.pins(pins)),
        base=labels[sweep.BASE],
        size=seen["Size"],
        packages={package: pin["version"] for package, pin in pins.items()},
        security=tuple(facts["security"]),
    )


def make(
    engine: Engine, folder: Path, progress: Progress, wanted: ToolchainRequest = ANYTHING
) -> DockerImage:
    """The image of the present recipe; built now if need be. One builder at a time.

    Raises:
        ToolchainError: it could not be built; nothing is left of the attempt. Or a package's
            bytes are not the locked ones; it is named.
    """
    _check_known(folder, wanted)
    told = "docker: another command is building the image, waiting for that one"
    with files.locked(folder / ".lock", lambda: progress(told)) as lock:
        if found := find(engine, folder, wanted):
            return found
        for left in folder.glob(".base-*"):  # of a builder that was killed; we hold the lock
            files.remove_tree(left)
        with (
            client(engine) as api,
            base_image.base(engine, api, folder, lock, progress) as (base, words),
        ):
            _build(api, base, words, wanted, progress)
        made = find(engine, folder, wanted)
    if made is None:
        raise ToolchainError("the image was built and is gone again", hint="run the command again")
    return made


def _check_known(folder: Path, wanted: ToolchainRequest) -> None:
    """Before anything is downloaded: what images had of these very versions."""
    for cached in folder.glob("[0-9a-f]*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            tree_cache.check(wanted.locked, tree_cache.pins(reading.json_file(cached)["packages"]))


# ---------------------------------------------------------------- the build


def _build(
    api: docker.APIClient, base: str, origin: str, wanted: ToolchainRequest, progress: Progress
) -> None:
    made = sweep.labels()
    clock = Deadline(BUILD_SECONDS)
    with engine_errors():
        events = api.build(
            fileobj=_context(wanted),
            custom_context=True,
            tag=f"{NAME}:{image_key(wanted)[:16]}",
            buildargs={
                "BASE": base,
                "MAKER": made[sweep.MAKER],
                "OWNER": made[sweep.USER],
            },
            labels=made | {sweep.TOOLCHAIN: image_key(wanted), sweep.BASE: origin},
            network_mode="host",
            nocache=True,
            rm=True,
            forcerm=True,
            timeout=SILENT_SECONDS,
            decode=True,
        )
        _follow(events, clock, progress)


def _follow(events: Iterator[dict[str, Any]], clock: Deadline, progress: Progress) -> None:
    """Tell every step; raise with its last lines if one fails."""
    step, tail = "docker build", [""]
    stage = current()
    for event in events:
        for line in _COLOUR.sub("", str(event.get("stream", ""))).splitlines():
            tail = [*tail[-30:], line]
            if match := _STEP.match(line):
                step, tail = re.sub(r"\s+", " ", match[3]), []
                words = step if len(step) < 70 else f"{step[:66]} …"
                progress(f"docker: step {match[1]} of {match[2]}: {escape(words)}")
            elif line.startswith("lab: "):
                progress(f"docker: {escape(line[5:], limit=90)}")
            elif line.strip():
                stage.note(escape(line.strip(), limit=60))
        if "error" in event:
            code = (event.get("errorDetail") or {}).get("code")
            words = f"exit status {code}" if code else str(event["error"])
            raise not_built(step, [*tail, words])
        if clock.passed():
            raise not_built(step, [*tail, f"took longer than {clock.seconds:g} s"])
    stage.note("")


def _context(wanted: ToolchainRequest) -> io.BytesIO:
    """What the Dockerfile copies, as a tar."""
    address = debian.archive_of_this_machine()
    contents = {
        "Dockerfile": _dockerfile().decode(),
        "packages": "".join(f"{name}\n" for name in recipe.package_list()),
        "pinned": "".join(f"{pin.name}={pin.version}\n" for pin in wanted.locked),
        "snapshot": wanted.snapshot,
        "sources": f"deb {address} {recipe.SUITE} main\n" if address else "",
        "proxies": "".join(f"{line}\n" for line in debian.proxies_of_this_machine()),
        "pruned": "".join(f"{one}\n" for one in recipe.PRUNED if one.startswith("usr/")),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    buffer.seek(0)
    return buffer


def _dockerfile() -> bytes:
    return resource("dockerfiles", "toolchain.Dockerfile").read_bytes()


# ---------------------------------------------------------------- what is in it


def _facts(engine: Engine, identity: str, folder: Path) -> dict[str, Any]:
    """The packages of an image and the engine's ways, read once."""
    cached = folder / f"{identity.rpartition(':')[2][:16]}.json"
    try:
        found: dict[str, Any] = reading.json_file(cached)
    except (OSError, ValueError):
        info = engine.call("GET", "/info", what="describe itself")
        with client(engine) as api:
            pins = _pins(_read(api, identity, "installed").decode())
        found = {"packages": pins, "security": info.get("SecurityOptions") or []}
        files.write_atomic(cached, json.dumps(found, indent=1))
    return found


def _read(api: docker.APIClient, identity: str, name: str) -> bytes:
    """A file of the image, through a container that is never started."""
    with engine_errors():
        made = api.create_container(identity, ["true"], labels=sweep.labels())["Id"]
        try:
            parts, _ = api.get_archive(made, f"/{_SHARE}/{name}")
            with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as archive:
                found = archive.extractfile(name)
                assert found is not None
                return found.read()
        finally:
            api.remove_container(made, force=True)


def _pins(text: str) -> dict[str, dict[str, Any]]:
    """Packages from the lines of ``apt-get --print-uris``: address, file, size, hash."""
    found = {}
    for line in text.splitlines():
        _, name, size, digest = line.split()
        package, version, arch = unquote(name).removesuffix(".deb").split("_")
        sha256 = digest.removeprefix("SHA256:")
        found[package] = {"version": version, "arch": arch, "sha256": sha256, "size": int(size)}
    return found
