"""The docker door: every program runs in its own container of the toolchain's image."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lab.errors import ToolchainError
from lab.model import (
    ARM32,
    Architecture,
    Command,
    Completed,
    Door,
    Mount,
    Program,
    ProgramRecord,
    StartOptions,
    ToolchainInfo,
)
from lab.toolchain import failures
from lab.toolchain.docker import container, sweep, toolchain_image, used
from lab.toolchain.docker.container import Confined
from lab.toolchain.docker.engine import Engine, address
from lab.toolchain.docker.program import DockerProgram, record_of, wait
from lab.toolchain.docker.toolchain_image import DockerImage
from lab.toolchain.request import ANYTHING, ToolchainRequest
from lab.toolchain.rootfs import notable
from lab.toolchain.tree_cache import CachedTree
from lab.util import files, reading, together
from lab.util.deadline import Deadline

#: No program that a caller waits for takes this long. Older folders belong to killed commands.
OLD_SECONDS = 86400.0
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


class DockerToolchain:
    """Programs run in containers of ``image``, as the calling user."""

    def __init__(
        self, engine: Engine, image: DockerImage, cache: Path, arch: Architecture = ARM32
    ) -> None:
        self._engine = engine
        self.image = image
        self._cache = cache
        self._arch = arch

    @property
    def door(self) -> Door:
        return Door.DOCKER

    @property
    def key(self) -> str:
        return self.image.key

    def run(self, command: Command, *, check: bool = True) -> Completed:
        failures.check_mounts(command.mounts)
        clock = Deadline(command.timeout)
        with self._folder(command.input) as folder:
            asked = replace(
                command,
                mounts=[*command.mounts, *(_certificates() if command.network else ())],
                env=(failures.proxy_variables() if command.network else {}) | dict(command.env),
            )
            body = self._spec(container.to_the_end(asked, folder), labels=sweep.labels())
            with self._launched(body, "xenlab-run", command) as made:
                try:
                    status = wait(self._engine, made, clock.left() + 0.001)
                    late = False
                except TimeoutError:
                    status, late = -9, True
            out, err = (reading.data(folder / name, reading.IMAGE) for name in ("stdout", "stderr"))
        done = Completed(tuple(command.argv), status, out, err, clock.elapsed())
        if late:
            raise failures.late(command, done)
        _check_program(done)
        if check and done.returncode:
            raise failures.failed(done)
        return done

    def start(self, command: Command, options: StartOptions) -> Program:
        """Start a program in its own container. It runs on without this process or the engine."""
        failures.check_mounts(command.mounts)
        tag, path = options.tag, Path(options.log.name).absolute()
        tagged = replace(command, env={**command.env, failures.TAG: tag})
        body = self._spec(
            container.on_its_own(tagged, path, [_twin_of(handle) for handle in options.keep_fds]),
            labels={**sweep.labels(), **sweep.machine_labels(tag), sweep.RUN: str(path.parent)},
            largest_file=options.largest_file,
        )
        with self._launched(body, tag, command, keep=True) as made:
            return DockerProgram(record_of(self._engine, made, tag))

    def adopt(self, record: ProgramRecord) -> Program:
        return DockerProgram(record)

    def info(self) -> ToolchainInfo:
        image = self.image
        return ToolchainInfo(
            door=Door.DOCKER,
            key=image.key,
            where=f"{image.name} at {self._engine.where}",
            origin=image.base,
            size=image.size,
            versions={
                name: image.packages.get(package, "")
                for name, package in notable(self._arch).items()
            },
            packages=image.packages,
        )

    def _spec(
        self, program: Confined, *, labels: Mapping[str, str], largest_file: int | None = None
    ) -> dict[str, Any]:
        """A container that runs as the calling user, whom a rootless engine calls user 0."""
        ways = " ".join(self.image.security)
        user = "0:0" if "name=rootless" in ways else f"{os.getuid()}:{os.getgid()}"
        who = container.Who(self.image.id, user, remapped="name=userns" in ways)
        return container.spec(who, program, labels, largest_file)

    @contextlib.contextmanager
    def _folder(self, stdin: bytes) -> Iterator[Path]:
        """A folder with a program's standard files while the block runs."""
        self._cache.mkdir(parents=True, exist_ok=True)
        for left in self._cache.glob(".io-*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > OLD_SECONDS:
                    files.remove_tree(left)
        folder = Path(tempfile.mkdtemp(dir=self._cache, prefix=".io-"))
        try:
            for name, data in {"stdin": stdin, "stdout": b"", "stderr": b""}.items():
                (folder / name).write_bytes(data)
            yield folder
        finally:
            files.remove_tree(folder)

    @contextlib.contextmanager
    def _launched(
        self, body: dict[str, Any], tag: str, command: Command, *, keep: bool = False
    ) -> Iterator[str]:
        """Start a container. It is removed when the block ends; with ``keep``, only on failure."""
        engine, name = self._engine, f"{tag}-{secrets.token_hex(4)}"
        kept = False
        # We choose the name, so we can remove the container even if the engine's answer is lost.
        try:
            made = engine.call(
                "POST /containers/create", what="make a container", query={"name": name},
                body=body,
            )["Id"]  # fmt: skip
            start = f"start {Path(command.argv[0]).name}"
            engine.call(f"POST /containers/{made}/start", what=start)
            with together.ended_by(partial(_remove, engine, made)):
                yield made
            kept = keep
        finally:
            if not kept:
                _remove(engine, name)


def open_docker(
    cache: Path, progress: Callable[[str], None], wanted: ToolchainRequest = ANYTHING
) -> DockerToolchain:
    """The docker door. Its image is made on first use.

    Raises:
        ToolchainError: no engine answers, this user may not use it, or the image could not be
            made.
    """
    engine = Engine(address())
    engine.ping()
    if used.mark(engine.where):
        sweep.sweep_engines()
    folder = cache / "docker"

    def older(newest: CachedTree) -> Sequence[Path] | None:
        with toolchain_image.asking(engine, newest) as image:
            return wanted.older(DockerToolchain(engine, image, folder, wanted.arch))

    image = toolchain_image.find(engine, cache, wanted)
    image = image or toolchain_image.make(engine, cache, progress, wanted, older)
    return DockerToolchain(engine, image, folder, wanted.arch)


def _remove(engine: Engine, container: str) -> None:
    with contextlib.suppress(ToolchainError):
        sweep.remove_container(engine, container)


def _twin_of(handle: int) -> Path:
    twin = files.twin(Path(os.readlink(f"/proc/self/fd/{handle}")))  # noqa: PTH115
    twin.touch(mode=0o600)
    return twin


def _certificates() -> list[Mount]:
    return [Mount(Path(CERTIFICATES), CERTIFICATES)] if Path(CERTIFICATES).is_file() else []


def _check_program(done: Completed) -> None:
    first = done.stderr.decode(errors="replace").partition("\n")[0]
    if done.returncode == container.NO_PROGRAM and first.startswith("lab: "):
        raise failures.no_program(done, first)
