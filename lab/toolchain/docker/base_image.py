"""What the toolchain's image begins with: Debian's own image, or one bootstrapped here."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import ToolchainError
from lab.progress import current
from lab.toolchain import bootstrap, provide, recipe
from lab.toolchain.docker import sweep
from lab.toolchain.docker.client import engine_errors, not_built
from lab.toolchain.docker.engine import Engine
from lab.toolchain.rootfs import TO_MAKE
from lab.util import debian
from lab.util.terminal import escape

if TYPE_CHECKING:
    import docker

Progress = Callable[[str], None]

#: Debian's trixie-slim of August 2026, for all architectures.
REGISTRY_BASE = (
    "debian", "sha256:3a39a0592364683e6bab97937b72cad5a8fa6dcbbee90edb3bb48c7f8e94f258",
)  # fmt: skip
#: A registry that says nothing for so many seconds does not count as answering.
PULL_SECONDS = 30.0


@contextlib.contextmanager
def base(
    engine: Engine, api: docker.APIClient, folder: Path, lock: int, progress: Progress
) -> Iterator[tuple[str, str]]:
    """The name of a base image, and where it comes from in words.

    When the block ends, what it left unfinished is removed. A bootstrapped base loses its name
    then, and goes on only as part of what was built on it.

    Raises:
        ToolchainError: no registry has it for us, and it could not be bootstrapped either.
    """
    name, digest = REGISTRY_BASE
    try:
        progress(f"docker: asking for {name} {recipe.SUITE} by digest")
        try:
            _pull(engine, name, digest)
        except ToolchainError as error:
            words = escape(error.message.rpartition(": ")[2], limit=60)
            progress(f"docker: no registry has it for us ({words}); bootstrapping a base")
            yield _bootstrap(api, folder, lock)
        else:
            yield f"{name}@{digest}", f"{name} {recipe.SUITE} slim from a registry, {digest}"
    finally:
        with contextlib.suppress(ToolchainError):
            sweep.remove_images(engine, sweep.maker())


def _pull(engine: Engine, name: str, digest: str) -> None:
    query = {"fromImage": name, "tag": digest, "platform": f"linux/{recipe.ARCHITECTURE}"}
    stage = current()
    for event in engine.stream("POST", "/images/create", query=query, timeout=PULL_SECONDS):
        if "error" in event:
            raise ToolchainError(str(event["error"]))
        words = (str(event.get(key) or "") for key in ("status", "progress"))
        stage.note(escape(" ".join(words).strip(), limit=60))
    stage.note("")


def _bootstrap(api: docker.APIClient, folder: Path, lock: int) -> tuple[str, str]:
    """Unpack the essential packages and apt; dpkg takes them over in the first build step."""
    provide.ensure(TO_MAKE, lambda _: None)
    address = debian.archive_of_this_machine()
    version = secrets.token_hex(4)
    labels = [f"LABEL {name}={value}" for name, value in sweep.labels().items()]
    with tempfile.TemporaryDirectory(dir=folder, prefix=".base-") as work, engine_errors():
        tarball = Path(work, "base.tar")
        bootstrap.run(tarball, address, lock, ("?essential", "apt"))
        said = api.import_image_from_file(
            str(tarball), repository=sweep.BASE_NAME, tag=version, changes=labels
        )
        if '"error"' in said:
            raise not_built("import of the base", [said])
    origin = f"mmdebstrap {recipe.SUITE} from {address or 'its default archive'}, imported"
    return f"{sweep.BASE_NAME}:{version}", origin
