"""What an image of the docker door holds, read once through the engine."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from lab.errors import ToolchainError
from lab.toolchain import docker_sweep
from lab.toolchain.docker_engine import LOG, Engine, hint_for
from lab.util import files
from lab.util.terminal import escape_lines

if TYPE_CHECKING:
    import docker

#: How long a step of a build, or another answer of the engine, may be silent.
SILENT_SECONDS = 900
_SHARE = "usr/share/xenlab"


def facts(engine: Engine, identity: str, folder: Path) -> dict[str, Any]:
    """The packages of an image and the engine's ways, read once."""
    cached = folder / f"{identity.rpartition(':')[2][:16]}.json"
    try:
        found: dict[str, Any] = json.loads(cached.read_text())
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
        made = api.create_container(identity, ["true"], labels=docker_sweep.labels())["Id"]
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


@contextlib.contextmanager
def client(engine: Engine) -> Iterator[docker.APIClient]:
    """The engine through the ``docker`` package, imported only where it does real work."""
    import docker

    with engine_errors():
        api = docker.APIClient(base_url=engine.where, version="auto", timeout=SILENT_SECONDS)
    try:
        yield api
    finally:
        api.close()


@contextlib.contextmanager
def engine_errors() -> Iterator[None]:
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
