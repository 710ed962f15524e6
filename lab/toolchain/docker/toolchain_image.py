"""Finds the docker door's image at the engine, or makes it there once.

The image is named after its recipe. Its files are those of the rootfs door's tree, imported
(tree_import.py). If this machine has no mmdebstrap and may not install it, no tree can be made.
Then the engine builds an image with the same packages on Debian's image from a registry
(dockerfiles/toolchain.Dockerfile). Either way the image lists its packages with their hashes in
/usr/share/xenlab/installed. So the toolchain's key is the same as behind the rootfs door.
"""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from lab.errors import ToolchainError
from lab.packages import lock as locks
from lab.toolchain import provide, recipe, tree_cache, tree_check
from lab.toolchain import tree as trees
from lab.toolchain.docker import image_build, sweep, tree_import
from lab.toolchain.docker.client import client, engine_errors
from lab.toolchain.docker.engine import Engine, RefusedError
from lab.toolchain.request import ANYTHING, ToolchainRequest
from lab.toolchain.rootfs import TO_MAKE
from lab.toolchain.tree_cache import CachedTree
from lab.util import files, reading

if TYPE_CHECKING:
    import docker

Progress = Callable[[str], None]

NAME = sweep.IMAGE_NAME


@dataclass(frozen=True)
class DockerImage:
    """An image at the engine.

    ``base`` says where it comes from. ``size`` is in bytes. ``packages`` maps names to versions.
    ``security``: how the engine confines containers (``SecurityOptions`` of ``GET /info``).
    """

    id: str
    name: str
    key: str
    base: str
    size: int
    packages: Mapping[str, str]
    security: tuple[str, ...]


def image_key(wanted: ToolchainRequest = ANYTHING) -> str:
    """The identity of what was asked for. The image is named after it."""
    ways = [tree_import.VERSION, image_build.dockerfile().decode()]
    return files.sha256_json([recipe.recipe_key(wanted.arch), ways, locks.digest_of(wanted.locked)])


def find(engine: Engine, cache: Path, wanted: ToolchainRequest = ANYTHING) -> DockerImage | None:
    """The image of the present recipe, if the engine has it.

    Raises:
        ToolchainError: the engine does not answer.
        LockError: a package's bytes are not the locked ones. The message names the package.
    """
    name = _name(wanted)
    try:
        seen = engine.call(f"GET /images/{name}/json", what="show an image")
    except RefusedError as error:
        if error.status == 404:
            return None
        raise
    labels = seen["Config"]["Labels"] or {}
    if labels.get(sweep.TOOLCHAIN) != image_key(wanted):
        return None
    facts = _facts(engine, seen["Id"], _notes(cache))
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
    engine: Engine,
    cache: Path,
    progress: Progress,
    wanted: ToolchainRequest = ANYTHING,
    older: Callable[[CachedTree], Sequence[Path] | None] = lambda _: None,
) -> DockerImage:
    """The image of the present recipe. It is made unless the engine has it.

    Only one process at a time makes it. ``older``: see :func:`lab.toolchain.tree.make`.

    Raises:
        ToolchainError: the image could not be made; nothing is left of the attempt.
        LockError: a package's bytes are not the locked ones. The message names the package.
    """
    folder = _notes(cache)
    _check_known(folder, wanted)
    told = "docker: waiting for another command that is making the image"
    with files.locked(folder / ".lock", lambda: progress(told)):
        if found := find(engine, cache, wanted):
            return found
        with client(engine) as api:
            if tree := _tree(cache, progress, wanted, older):
                _import(api, tree, wanted, progress)
            else:
                with image_build.base(engine, progress):
                    labels = _labels(wanted, image_build.ORIGIN)
                    image_build.image(api, _name(wanted), labels, wanted, progress)
        made = find(engine, cache, wanted)
    if made is None:
        raise ToolchainError(
            "the image was made, but then somebody removed it", hint="run the command again"
        )
    return made


@contextlib.contextmanager
def asking(engine: Engine, tree: CachedTree) -> Iterator[DockerImage]:
    """A temporary image of any tree, to ask an archive with. It is removed when the block ends.

    Raises:
        ToolchainError: the engine could not import it.
    """
    with client(engine) as api, tree_import.temporary(api, tree) as name:
        yield DockerImage(name, name, tree.key, tree.origin, tree.size, {}, _security(engine))


def _tree(
    cache: Path,
    progress: Progress,
    wanted: ToolchainRequest,
    older: Callable[[CachedTree], Sequence[Path] | None],
) -> CachedTree | None:
    """The tree for a lock; ``None`` if the cache has none and this machine cannot make one.

    Raises:
        ToolchainError: the tree came out of a bundle, and has only what runs a lab.
    """
    found = tree_check.find(cache, progress, wanted.locked, wanted.arch, strict=wanted.strict)
    if found and found.partial:
        raise ToolchainError(
            f"the toolchain in {found.path.parent} came out of a bundle: it only runs labs",
            hint="use --door rootfs, or remove that folder: then the whole toolchain is made",
        )
    if found and tree_check.fits(found, progress, whole=True):
        return found
    try:
        provide.ensure(TO_MAKE, progress)
    except ToolchainError as error:
        progress(f"docker: {error.message}; asking a registry instead")
        return None
    more = trees.Wanted(wanted.arch, wanted.strict, older)
    return trees.make(cache, progress, wanted.locked, more)


def _import(
    api: docker.APIClient, tree: CachedTree, wanted: ToolchainRequest, progress: Progress
) -> None:
    progress(f"docker: importing the toolchain's tree, {tree.size / 1e6:.0f} MB")
    tree_import.image(api, tree, _name(wanted), _labels(wanted, f"{tree.origin}, imported"))


def _notes(cache: Path) -> Path:
    """The cache's folder with the facts about images."""
    return cache / "docker"


def _name(wanted: ToolchainRequest) -> str:
    return f"{NAME}:{image_key(wanted)[:16]}"


def _labels(wanted: ToolchainRequest, origin: str) -> dict[str, str]:
    ours = {sweep.TOOLCHAIN: image_key(wanted), sweep.BASE: origin}
    return sweep.labels() | ours


def _check_known(folder: Path, wanted: ToolchainRequest) -> None:
    """Before any download: check the locked packages against what earlier images contained."""
    for cached in folder.glob("[0-9a-f]*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            tree_cache.check(wanted.locked, tree_cache.pins(reading.json_file(cached)["packages"]))


# ---------------------------------------------------------------- what is in it


def _facts(engine: Engine, identity: str, folder: Path) -> dict[str, Any]:
    """An image's packages and the engine's security options. They are read once, then cached."""
    cached = folder / f"{identity.rpartition(':')[2][:16]}.json"
    try:
        found: dict[str, Any] = reading.json_file(cached)
    except (OSError, ValueError):
        with client(engine) as api:
            pins = _pins(_read(api, identity, tree_import.INSTALLED).decode())
        found = {"packages": pins, "security": _security(engine)}
        files.write_atomic(cached, json.dumps(found, indent=1))
    return found


def _security(engine: Engine) -> tuple[str, ...]:
    """How an engine confines containers: its ``SecurityOptions``."""
    info = engine.call("GET /info", what="describe itself")
    return tuple(info.get("SecurityOptions") or ())


def _read(api: docker.APIClient, identity: str, name: str) -> bytes:
    """A file of the image, through a container that is never started."""
    with engine_errors():
        made = api.create_container(identity, ["true"], labels=sweep.labels())["Id"]
        try:
            parts, _ = api.get_archive(made, f"/{name}")
            with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as archive:
                found = archive.extractfile(Path(name).name)
                assert found is not None
                return found.read()
        finally:
            api.remove_container(made, force=True)


def _pins(text: str) -> dict[str, dict[str, Any]]:
    """The packages in lines of ``apt-get --print-uris``: address, file, size (bytes), hash."""
    found = {}
    for line in text.splitlines():
        _, name, size, digest = line.split()
        package, version, arch = unquote(name).removesuffix(".deb").split("_")
        sha256 = digest.removeprefix("SHA256:")
        found[package] = {"version": version, "arch": arch, "sha256": sha256, "size": int(size)}
    return found
