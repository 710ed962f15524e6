"""What ships with the lab is found both in a checkout and in an installed package."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.util import resources


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in site-packages, beside somebody's folder of the same name."""
    package = tmp_path / "lab"
    (package / "resources" / "images").mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    monkeypatch.setattr(resources, "_PACKAGE", package)
    monkeypatch.setattr(resources, "_INSTALLED", package / "resources")
    return package


def test_in_a_checkout(root: Path) -> None:
    assert resources.in_checkout()
    assert resources.resource("images", "freertos") == root / "images" / "freertos"
    assert resources.as_called("try ./inv lab.up") == "try ./inv lab.up"


def test_in_an_installed_package(installed: Path) -> None:
    """What lies beside the package belongs to somebody else."""
    assert resources.resource("images") == installed / "resources" / "images"
    with pytest.raises(FileNotFoundError, match="tests is missing from the installation"):
        resources.resource("tests")
    assert resources.as_called("try ./inv lab.up") == "try xenlab lab.up"
