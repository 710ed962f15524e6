"""The ``docker`` package, imported only where it does real work, and its errors in our words."""

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
    """An engine, through the ``docker`` package."""
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


def not_built(step: str, tail: list[str]) -> ToolchainError:
    """A step of the build failed, or something that it needs; ``tail`` says how."""
    text = "\n".join(tail)
    return ToolchainError(
        "the toolchain's Docker image could not be built",
        command=step,
        tail=escape_lines(text, last=12),
        hint=hint_for(text) or bootstrap.hint_for(text) or LOG,
    )
