"""Uses the ``docker`` package, imported only when it is needed, and translates its errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lab.errors import ToolchainError
from lab.toolchain import bootstrap
from lab.toolchain.docker.engine import LOG, Engine, hint_for
from lab.util.terminal import escape_lines

if TYPE_CHECKING:
    import docker

#: How long an engine may be silent while it works, in seconds.
SILENT_SECONDS = 900


@contextlib.contextmanager
def client(engine: Engine) -> Iterator[docker.APIClient]:
    """The ``docker`` package's client of an engine. It is closed when the block ends."""
    import docker

    with engine_errors():
        api = docker.APIClient(base_url=engine.where, version="auto", timeout=SILENT_SECONDS)
    try:
        yield api
    finally:
        api.close()


@contextlib.contextmanager
def engine_errors() -> Iterator[None]:
    """Turn the exceptions of the ``docker`` package into a :class:`ToolchainError`."""
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


def not_built(step: str, tail: list[str]) -> ToolchainError:
    """The error for a failed step of the build. ``tail``: the last lines of its output."""
    text = "\n".join(tail)
    return ToolchainError(
        "the toolchain's Docker image could not be built",
        command=step,
        tail=escape_lines(text, last=12),
        hint=hint_for(text) or bootstrap.hint_for(text) or LOG,
    )
