"""References to registries, and registries that do not answer."""

from __future__ import annotations

import fcntl
import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from oras.container import Container

from lab.bundle import download, registry
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


class Server(BaseHTTPRequestHandler):
    """Sends a layer, at most ``most`` bytes of it at a time. It knows ranges unless told."""

    layer = bytes(range(256)) * 1000
    most = 4 * download.PIECE
    ranges = True

    def do_GET(self) -> None:
        asked.append(self.headers["Range"])
        at = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        at = at if self.ranges else 0
        self.send_response(206 if self.ranges else 200)
        self.send_header("Content-Length", str(len(self.layer) - at))
        if self.ranges:
            end, size = len(self.layer) - 1, len(self.layer)
            self.send_header("Content-Range", f"bytes {at}-{end}/{size}")
        self.end_headers()
        self.wfile.write(self.layer[at : at + self.most])

    def log_message(self, *_: object) -> None:
        pass


asked: list[str] = []


@pytest.fixture
def serving() -> Iterator[tuple[Any, Any]]:
    """A client and a place in the registry that :class:`Server` is."""
    asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = Container(f"127.0.0.1:{server.server_address[1]}/labs:one")
        yield registry._registry(place), place
        server.shutdown()


def layer_of(data: bytes) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return {"mediaType": BUNDLE, "digest": digest, "size": len(data)}


def test_it_goes_on_after_each_break(tmp_path: Path, serving: tuple[Any, Any]) -> None:
    """Every byte is fetched once, and no other file stays."""
    download.fetch(*serving, layer_of(Server.layer), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == Server.layer
    assert asked == [f"bytes={at}-" for at in range(0, len(Server.layer), Server.most)]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_next_command_goes_on(
    tmp_path: Path, serving: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry that sends nothing more is left after a few attempts. What came is kept."""
    monkeypatch.setattr(Server, "most", 0)
    layer = layer_of(Server.layer)
    part = tmp_path / f".a.{layer['digest'][7:23]}.part"
    part.write_bytes(Server.layer[:1000])
    with pytest.raises(requests.RequestException):
        download.fetch(*serving, layer, tmp_path / "a")
    assert part.read_bytes() == Server.layer[:1000]
    assert asked == ["bytes=1000-"] * download.BREAKS
    monkeypatch.setattr(Server, "most", 1 << 20)
    download.fetch(*serving, layer, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == Server.layer


def test_a_registry_that_sends_too_little_is_left(
    tmp_path: Path, serving: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drops that never end are no answer. What came is kept for the next command."""
    monkeypatch.setattr(download, "SLOW", 0.0)
    monkeypatch.setattr(download, "LEAST", 1 << 20)
    layer = layer_of(Server.layer)
    with pytest.raises(requests.RequestException, match=r"it sent only \d+ bytes in 0 seconds"):
        download.fetch(*serving, layer, tmp_path / "a")
    assert len(asked) == download.BREAKS
    part = tmp_path / f".a.{layer['digest'][7:23]}.part"
    assert part.read_bytes() == Server.layer[: part.stat().st_size] != b""


def test_a_registry_without_ranges(
    tmp_path: Path, serving: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends all of it again, and the result is whole."""
    monkeypatch.setattr(Server, "ranges", False)
    monkeypatch.setattr(Server, "most", 1 << 20)
    layer = layer_of(Server.layer)
    (tmp_path / f".a.{layer['digest'][7:23]}.part").write_bytes(b"x" * 1000)
    download.fetch(*serving, layer, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == Server.layer


def test_what_has_other_bytes_is_not_kept(
    tmp_path: Path, serving: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "most", 1 << 20)
    layer = layer_of(b"other" + Server.layer[5:])
    with pytest.raises(BundleError, match="but the registry sent"):
        download.fetch(*serving, layer, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_two_commands_do_not_write_one_file(tmp_path: Path, serving: tuple[Any, Any]) -> None:
    layer = layer_of(Server.layer)
    part = tmp_path / f".a.{layer['digest'][7:23]}.part"
    with part.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BundleError, match="another command"):
            download.fetch(*serving, layer, tmp_path / "a")
