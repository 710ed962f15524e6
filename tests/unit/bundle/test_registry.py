"""References to registries, and registries that do not answer."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from lab.bundle import registry
from lab.bundle.registry import BUNDLE
from lab.errors import BundleError


@pytest.mark.parametrize("reference", ["", "hello", "a b", "a/b:c:d/", "://", "@", "x/\x1b[31m"])
def test_what_is_no_reference(tmp_path: Path, reference: str) -> None:
    """It is told in words that are harmless to print."""
    with pytest.raises(BundleError) as caught:
        registry.pull(reference, tmp_path / "a")
    assert "\x1b" not in str(caught.value)
    assert not (tmp_path / "a").exists()


def test_nobody_listens(tmp_path: Path, bundle: Path) -> None:
    """It is known at once: oras would try for two minutes."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{one.getsockname()[1]}"
    with pytest.raises(BundleError, match=f"the registry {address} does not answer"):
        registry.pull(f"{address}/labs:one", tmp_path / "a")
    with pytest.raises(BundleError, match="does not answer"):
        registry.push(bundle, f"{address}/labs:one")


def test_what_is_pushed_is_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("noise")
    with pytest.raises(BundleError, match="is refused"):
        registry.push(tmp_path / "a", "127.0.0.1:1/labs:one")


def test_an_artifact_of_another_kind() -> None:
    """An image, several layers, nothing."""
    good = {"mediaType": BUNDLE, "digest": "sha256:0", "size": 1}
    assert registry._layer(json.dumps({"layers": [good]}).encode(), "r") == good
    other = good | {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"}
    for layers in ([], [good, good], [other]):
        with pytest.raises(BundleError, match="r is not a bundle"):
            registry._layer(json.dumps({"layers": layers}).encode(), "r")
