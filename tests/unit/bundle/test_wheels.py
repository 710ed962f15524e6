"""The Python packages in a bundle: which are fetched, and how they are installed offline."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundle.conftest import TREE, fill
from lab.api.first_start import unpack_wheels
from lab.bundle import saving
from lab.bundle.saving import Tree, Wanted
from lab.cli import first_start
from lab.errors import BundleError, ToolchainError, UsageError
from lab.install import wheels
from lab.install.installer import Installer
from lab.model import Completed
from lab.progress import Progress, Stage
from lab.toolchain import tree_cache
from lab.util import process

WHEEL = "python/xenlab-1.0-py3-none-any.whl"


@pytest.fixture
def with_wheel(tmp_path: Path) -> Path:
    """A bundle with one wheel."""
    fill(tmp_path / "other")
    made = tree_cache.read(tmp_path / "other/toolchain" / TREE)
    assert made
    trees = [Tree(made, frozenset(), True)]
    wanted = Wanted(tmp_path / "other", trees, [], [], {WHEEL: b"wheel" * 1000})
    saving.save(tmp_path / "wheel.bundle", wanted, "d", [], "1.0")
    return tmp_path / "wheel.bundle"


def test_wheels_come_out_alone(tmp_path: Path, with_wheel: Path, bundle: Path) -> None:
    """Without the packages that they are about: nothing of Zstandard is imported."""
    (tmp_path / "w").mkdir()
    assert unpack_wheels(with_wheel, tmp_path / "w")
    assert [path.name for path in (tmp_path / "w").iterdir()] == [Path(WHEEL).name]
    assert not unpack_wheels(bundle, tmp_path / "w")


def test_a_damaged_wheel_is_refused(tmp_path: Path, with_wheel: Path) -> None:
    with_wheel.write_bytes(with_wheel.read_bytes().replace(b"wheelwheel", b"wheelWheel", 1))
    with pytest.raises(BundleError, match=r"python/xenlab.* is damaged"):
        unpack_wheels(with_wheel, tmp_path)


@pytest.mark.parametrize(
    ("words", "variable", "found"),
    [
        (["--bundle", "a", "lab.up"], "", "a"),
        (["--bundle=a", "lab.up"], "b", "a"),
        (["lab.up", "--bundle", "a"], "", None),
        (["lab.up"], "b", "b"),
        (["--bundle"], "", None),
        ([], "", None),
    ],
)
def test_the_bundle_of_a_first_start(
    words: list[str], variable: str, found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_BUNDLE", variable)
    assert first_start.named_bundle(words) == (Path(found) if found else None)


class Pip:
    """A pip that says what it was asked for; ``status`` is how it ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, status: int = 0) -> None:
        self.lines: list[list[str]] = []
        self.status = status
        monkeypatch.setattr(process, "run", self._run)
        monkeypatch.setattr(process, "follow", self._run)

    def _run(self, line: list[str], *_: object, **__: object) -> Completed:
        self.lines.append(line[line.index("pip") + 1 :])
        return Completed(tuple(line), self.status, b"", b"ERROR: no such thing\n", 0.0)


def test_packages_have_the_versions_of_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each version of Python, and from wheels alone."""
    pip = Pip(monkeypatch)
    wheels.fetch(["3.11", "3.13"], tmp_path, Stage("wheels"))
    own, *others = pip.lines
    assert "wheel" in own
    assert [line[line.index("--python-version") + 1] for line in others] == ["3.11", "3.13"]
    for line in others:
        assert {"--no-deps", ":all:"} <= {*line}
        assert any(word.startswith("zstandard==") for word in line)
        assert any(word.startswith("setuptools==") for word in line)


def test_a_group_brings_its_packages_too() -> None:
    """Each package once, however its name is written."""
    usual, more = wheels._pins("3.11"), wheels._pins("3.11", ["serve"])
    assert set(usual) < set(more)
    new = {pin.partition("=")[0] for pin in set(more) - set(usual)}
    assert {"aiohttp", "segno", "yarl"} <= new
    assert not {"pytest", "distributed", "oras"} & new
    names = [pin.partition("=")[0].replace("_", "-") for pin in more]
    assert len(names) == len(set(names))


def test_what_pip_cannot_do_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Pip(monkeypatch, status=1)
    with pytest.raises(ToolchainError, match="wheels cannot be had: ERROR: no such thing"):
        wheels.fetch(["3.11"], tmp_path, Stage("wheels"))
    with pytest.raises(UsageError, match="that is no version of Python"):
        wheels.fetch(["3.11; rm"], tmp_path, Stage("wheels"))


def test_an_installation_asks_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The build backend comes first. A bundle for another Python is an error that says so."""
    pip = Pip(monkeypatch)
    with Progress(quiet=True).stage("environment") as stage:
        installer = Installer(Path("/venv/bin/python"), 3, stage, tmp_path)
        assert installer.install("/checkout") == "from the bundle"
        assert all("--no-index" in line for line in pip.lines)
        assert [line[-1] for line in pip.lines] == ["setuptools>=77", "/checkout"]
        pip.status = 1
        with pytest.raises(ToolchainError, match="has not all Python packages"):
            installer.install("/checkout")
