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
import secrets
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from lab.errors import ToolchainError
from lab.toolchain import docker_sweep, provide, recipe, tree
from lab.toolchain.docker_engine import LOG, Engine, RefusedError, hint_for
from lab.toolchain.rootfs import TO_MAKE
from lab.util import debian, files
from lab.util.deadline import Deadline
from lab.util.resources import resource
from lab.util.terminal import escape, escape_lines

if TYPE_CHECKING:
    import docker

Progress = Callable[[str], None]

#: Debian's trixie-slim of August 2026, for all architectures.
REGISTRY_BASE = (
    "debian", "sha256:3a39a0592364683e6bab97937b72cad5a8fa6dcbbee90edb3bb48c7f8e94f258",
)  # fmt: skip
#: A registry that says nothing for so many seconds does not count as answering.
PULL_SECONDS = 30.0
#: The whole build; and how long one of its steps may be silent.
BUILD_SECONDS, SILENT_SECONDS = 1800.0, 900

NAME, BASE_NAME = docker_sweep.IMAGE_NAME, docker_sweep.BASE_NAME
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


def image_key() -> str:
    """Identity of what was asked for; the image is named after it."""
    return files.sha256_json([recipe.recipe_key(), _dockerfile().decode()])


def find(engine: Engine, folder: Path) -> DockerImage | None:
    """The image of the present recipe, if the engine has it; ``folder`` is ours to cache in.

    Raises:
        ToolchainError: the engine does not answer.
    """
    name = f"{NAME}:{image_key()[:16]}"
    try:
        seen = engine.call("GET", f"/images/{name}/json", what="show an image")
    except RefusedError as error:
        if error.status == 404:
            return None
        raise
    labels = seen["Config"]["Labels"] or {}
    if labels.get(docker_sweep.TOOLCHAIN) != image_key():
        return None
    facts = _facts(engine, seen["Id"], folder)
    pins = facts["packages"]
    return DockerImage(
        id=seen["Id"],
        name=name,
        key=files.sha256_json({package: pin["sha256"] for package, pin in pins.items()}),
        base=labels[docker_sweep.BASE],
        size=seen["Size"],
        packages={package: pin["version"] for package, pin in pins.items()},
        security=tuple(facts["security"]),
    )


def make(engine: Engine, folder: Path, progress: Progress) -> DockerImage:
    """The image of the present recipe; built now if need be. One builder at a time.

    Raises:
        ToolchainError: it could not be built; nothing is left of the attempt.
    """
    told = "docker: another command is building the image, waiting for that one"
    with files.locked(folder / ".lock", lambda: progress(told)) as lock:
        if found := find(engine, folder):
            return found
        for left in folder.glob(".base-*"):  # of a builder that was killed; we hold the lock
            files.remove_tree(left)
        with _client(engine) as api, _base(engine, api, folder, lock, progress) as (base, words):
            _build(api, base, words, progress)
        made = find(engine, folder)
    if made is None:
        raise ToolchainError("the image was built and is gone again", hint="run the command again")
    return made


# ---------------------------------------------------------------- the base


@contextlib.contextmanager
def _base(
    engine: Engine, api: docker.APIClient, folder: Path, lock: int, progress: Progress
) -> Iterator[tuple[str, str]]:
    """The name of a base image, and where it comes from in words."""
    name, digest = REGISTRY_BASE
    progress(f"docker: asking for {name} {recipe.SUITE} by digest")
    try:
        _pull(engine, name, digest)
    except ToolchainError as error:
        words = escape(error.message.rpartition(": ")[2], limit=60)
        progress(f"docker: no registry has it for us ({words}); bootstrapping a base")
    else:
        yield f"{name}@{digest}", f"{name} {recipe.SUITE} slim from a registry, {digest}"
        return
    address = debian.archive_of_this_machine()
    tag = f"{BASE_NAME}:{secrets.token_hex(4)}"
    _bootstrap(api, tag, folder, address, lock)
    try:
        origin = f"mmdebstrap {recipe.SUITE} from {address or 'its default archive'}, imported"
        yield tag, origin
    finally:
        with contextlib.suppress(ToolchainError):
            docker_sweep.remove_images(engine, docker_sweep.maker())


def _pull(engine: Engine, name: str, digest: str) -> None:
    query = {"fromImage": name, "tag": digest, "platform": f"linux/{recipe.ARCHITECTURE}"}
    for event in engine.stream("POST", "/images/create", query=query, timeout=PULL_SECONDS):
        if "error" in event:
            raise ToolchainError(str(event["error"]))


def _bootstrap(
    api: docker.APIClient, tag: str, folder: Path, address: str | None, lock: int
) -> None:
    """Unpack the essential packages and apt; dpkg takes them over in the first build step."""
    provide.ensure(TO_MAKE, lambda _: None)
    repository, _, version = tag.partition(":")
    labels = [f"LABEL {name}={value}" for name, value in docker_sweep.labels().items()]
    with tempfile.TemporaryDirectory(dir=folder, prefix=".base-") as work, _engine_errors():
        tarball = Path(work, "base.tar")
        tree.bootstrap(tarball, address, lock, ("apt",))
        said = api.import_image_from_file(
            str(tarball), repository=repository, tag=version, changes=labels
        )
        if '"error"' in said:
            raise _not_built("import of the base", [said])


# ---------------------------------------------------------------- the build


def _build(api: docker.APIClient, base: str, origin: str, progress: Progress) -> None:
    made = docker_sweep.labels()
    clock = Deadline(BUILD_SECONDS)
    with _engine_errors():
        events = api.build(
            fileobj=_context(),
            custom_context=True,
            tag=f"{NAME}:{image_key()[:16]}",
            buildargs={
                "BASE": base,
                "MAKER": made[docker_sweep.MAKER],
                "OWNER": made[docker_sweep.USER],
            },
            labels=made | {docker_sweep.TOOLCHAIN: image_key(), docker_sweep.BASE: origin},
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
    for event in events:
        for line in _COLOUR.sub("", str(event.get("stream", ""))).splitlines():
            tail = [*tail[-30:], line]
            if match := _STEP.match(line):
                step, tail = re.sub(r"\s+", " ", match[3]), []
                words = step if len(step) < 70 else f"{step[:66]} …"
                progress(f"docker: step {match[1]} of {match[2]}: {escape(words)}")
            elif line.startswith("lab: "):
                progress(f"docker: {escape(line[5:], limit=90)}")
        if "error" in event:
            code = (event.get("errorDetail") or {}).get("code")
            words = f"exit status {code}" if code else str(event["error"])
            raise _not_built(step, [*tail, words])
        if clock.passed():
            raise _not_built(step, [*tail, f"took longer than {clock.seconds:g} s"])


def _not_built(step: str, tail: list[str]) -> ToolchainError:
    text = "\n".join(tail)
    return ToolchainError(
        "the toolchain's Docker image could not be built",
        command=step,
        tail=escape_lines(text, last=12),
        hint=hint_for(text) or tree.hint_for(text) or LOG,
    )


def _context() -> io.BytesIO:
    """What the Dockerfile copies, as a tar."""
    address = debian.archive_of_this_machine()
    contents = {
        "Dockerfile": _dockerfile().decode(),
        "packages": "".join(f"{name}\n" for name in recipe.package_list()),
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
        found: dict[str, Any] = json.loads(cached.read_text())
    except (OSError, ValueError):
        info = engine.call("GET", "/info", what="describe itself")
        with _client(engine) as api:
            pins = _pins(_read(api, identity, "installed").decode())
        found = {"packages": pins, "security": info.get("SecurityOptions") or []}
        files.write_atomic(cached, json.dumps(found, indent=1))
    return found


def _read(api: docker.APIClient, identity: str, name: str) -> bytes:
    """A file of the image, through a container that is never started."""
    with _engine_errors():
        made = api.create_container(identity, ["true"], labels=docker_sweep.labels())["Id"]
        try:
            parts, _ = api.get_archive(made, f"/{_SHARE}/{name}")
            with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as archive:
                found = archive.extractfile(name)
                assert found is not None
                return found.read()
        finally:
            api.remove_container(made, force=True)


def _pins(text: str) -> dict[str, dict[str, str]]:
    """Packages from the lines of ``apt-get --print-uris``: address, file, size, hash."""
    found = {}
    for line in text.splitlines():
        _, name, _, digest = line.split()
        package, version, arch = unquote(name).removesuffix(".deb").split("_")
        sha256 = digest.removeprefix("SHA256:")
        found[package] = {"version": version, "arch": arch, "sha256": sha256}
    return found


@contextlib.contextmanager
def _client(engine: Engine) -> Iterator[docker.APIClient]:
    """The engine through the ``docker`` package, imported only where it does real work."""
    import docker

    with _engine_errors():
        api = docker.APIClient(base_url=engine.where, version="auto", timeout=SILENT_SECONDS)
    try:
        yield api
    finally:
        api.close()


@contextlib.contextmanager
def _engine_errors() -> Iterator[None]:
    """What the ``docker`` package raises, in our words."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except (DockerException, RequestException) as error:
        raise ToolchainError(
            "the Docker engine could not make the toolchain's image",
            tail=escape_lines(str(error), last=8),
            hint=hint_for(str(error)) or LOG,
        ) from error
