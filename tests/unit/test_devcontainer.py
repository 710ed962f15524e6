"""The container of a hosted editor: its files exist, and its packages are those of the project."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lab.toolchain.docker import image_build

#: The options without which bubblewrap cannot enter a tree inside a container.
NEEDED = {"seccomp=unconfined", "systempaths=unconfined"}


@pytest.fixture
def described(root: Path) -> dict[str, Any]:
    return dict(json.loads((root / ".devcontainer/devcontainer.json").read_text()))


def test_it_is_built_from_files_of_the_project(root: Path, described: dict[str, Any]) -> None:
    """Everything that its Dockerfile copies is in the build's context."""
    folder = root / ".devcontainer"
    text = (folder / described["build"]["dockerfile"]).read_text()
    context = folder / described["build"]["context"]
    copied = re.findall(r"^COPY (\S+) ", text, re.MULTILINE)
    assert "dockerfiles/packages" in copied
    assert all((context / name).exists() for name in copied)
    assert f"BASE={image_build.BASE}:" in text


def test_labs_can_run_in_it(root: Path, described: dict[str, Any]) -> None:
    """The sandbox may make namespaces, the cache outlives the container, and the first command is
    one of ours."""
    options = {one.partition("security-opt=")[2] for one in described["runArgs"]}
    assert options >= NEEDED
    text = (root / ".devcontainer/Dockerfile").read_text()
    (volume,) = described["mounts"]
    assert f"LAB_CACHE={volume['target']} " in text
    assert described["postCreateCommand"].split()[0] == "./inv"
    assert "bubblewrap" in text
    assert "mmdebstrap" in text
