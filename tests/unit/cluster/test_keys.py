"""Who may use a cluster."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lab import rundir
from lab.cluster import keys
from lab.errors import LabError, UsageError


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rundir, "lock_folder", lambda: tmp_path)


def test_a_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    keys.make(file)
    before = file.read_text()
    keys.make(file)
    assert file.read_text() == before
    assert file.stat().st_mode & 0o777 == 0o600
    found: Any = keys.of(file)
    assert found.require_encryption
    assert found.tls_ca_file == found.tls_worker_cert
    assert "PRIVATE KEY" in found.tls_client_key


def test_several_that_make_it_at_once_have_the_same(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"

    def make(_: int) -> str:
        keys.make(file)
        return file.read_text()

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(make, range(4)))) == 1


@pytest.mark.parametrize("text", [None, "", "-----BEGIN CERTIFICATE-----\n"])
def test_what_is_no_key(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "key.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UsageError, match=r"key\.pem is not the key of a cluster"):
        keys.of(file)


def test_addresses() -> None:
    assert keys.named("192.0.2.1:8786", "").address == "tls://192.0.2.1:8786"
    assert keys.named("tcp://192.0.2.1:8786", "k").key == Path("k")
    for wrong in ("192.0.2.1", "http://192.0.2.1:1", "tls://192.0.2.1:x"):
        with pytest.raises(UsageError, match="not the address of a cluster"):
            keys.named(wrong, "")


def test_the_environment_names_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_CLUSTER_KEY", "/some/key.pem")
    assert keys.named("192.0.2.1:8786", "").key == Path("/some/key.pem")


def test_a_cluster_that_does_not_answer() -> None:
    """The engine's own time runs out, by a cancelled wait without words."""

    def connect() -> None:
        with keys.readable("tls://192.0.2.1:1"):
            raise TimeoutError from asyncio.CancelledError()

    with pytest.raises(LabError, match="that lets us in: nobody answers"):
        connect()
