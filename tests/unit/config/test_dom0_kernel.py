"""`dom0: {kernel: …}` in labs.yaml: what goes together, and the places of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_files import zimage

from lab import config
from lab.errors import ConfigError
from lab.model import Lab

LABS = "labs:\n  one:\n    dom0: {%s}\n    guests: []\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "zImage").write_bytes(zimage())
    (tmp_path / "my.config").write_text("CONFIG_XEN=y\n")
    for name in ("modules", "linux"):
        (tmp_path / name).mkdir()
    return tmp_path


def dom0(folder: Path, keys: str) -> Lab:
    (folder / "labs.yaml").write_text(LABS % keys)
    return config.load(folder / "labs.yaml").labs["one"]


def test_a_kernel_with_modules(folder: Path) -> None:
    spec = dom0(folder, "memory: 384M, kernel: zImage, modules: modules").dom0
    assert (spec.kernel, spec.modules) == (folder / "zImage", folder / "modules")
    assert spec.own_kernel
    assert (spec.places["kernel"].line, spec.places["kernel"].column) == (3, 34)
    assert not dom0(folder, "memory: 384M").dom0.own_kernel


def test_a_tree(folder: Path) -> None:
    spec = dom0(folder, "source: linux, config: my.config").dom0
    assert (spec.source, spec.config) == (folder / "linux", (folder / "my.config",))
    assert spec.own_kernel


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("modules: modules", "3:12: 'modules' is not allowed here: it goes with 'kernel'"),
        ("config: my.config", "3:12: 'config' is not allowed here: it goes with 'source'"),
        ("kernel: zImage, config: my.config", "3:28: 'config' is not allowed here"),
        ("kernel: zImage, source: linux", "3:28: dom0 has either a 'kernel' or a 'source'"),
        ("kernel: zImag", "3:20: 'kernel': no such file: 'zImag' in "),
        ("kernel: modules", "3:20: 'kernel': not a file: 'modules' is a folder"),
        ("kernel: zImage, modules: zImage", "3:37: 'modules': not a folder: 'zImage' is a file"),
        ("source: linux, config: [my.config, no]", "3:47: 'config': no such file: 'no'"),
        ("kernal: zImage", "3:12: unknown key 'kernal'; did you mean 'kernel'?"),
    ],
)
def test_mistakes_have_places(folder: Path, keys: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        dom0(folder, keys)
    assert words in str(caught.value)
