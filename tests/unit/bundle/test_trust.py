"""Templates in a bundle are used only if the user knows who made it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import IO, cast

import minisign
import pytest

from bundle.conftest import Save, fill
from lab import api
from lab.api import bundle_source
from lab.bundle import parts, signature
from lab.errors import BundleError, UsageError
from lab.machine import template_folder
from lab.packages.lock import Lock
from lab.progress import Progress

TEMPLATE = "e" * 64


@pytest.fixture
def stored(tmp_path: Path, save: Save, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle with a template; the cache is empty."""
    fill(tmp_path / "from")
    template = tmp_path / "from/templates" / TEMPLATE
    (template / "console").mkdir(parents=True)
    (template / "manifest.json").write_text("{}")
    (template / "console/xen.log").write_text("Xen")
    with (template / "ram").open("wb") as ram:
        ram.truncate(64 << 20)
        ram.seek(32 << 20)
        ram.write(b"memory")
    save(tmp_path / "a.bundle", tmp_path / "from", more=(template,))
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "a.bundle"


def load(bundle: Path, **how: str) -> api.BundleLoaded:
    return api.load_bundle(api.Context(progress=Progress(quiet=True)), bundle, **how)


def template(bundle: Path) -> Path:
    return bundle.with_name("cache") / "templates" / TEMPLATE


def test_templates_of_nobody_are_left_out(stored: Path) -> None:
    """All the rest is loaded."""
    found = load(stored)
    assert found.left_out == (f"templates/{TEMPLATE}",)
    assert len(found.new) == 3
    assert not template(stored).exists()


def test_templates_of_a_known_digest(stored: Path) -> None:
    """They are as they were, and their memory still has its holes."""
    load(stored)
    found = load(stored, sha256=hashlib.sha256(stored.read_bytes()).hexdigest())
    assert found.new == (f"templates/{TEMPLATE}",)
    before = stored.with_name("from") / "templates" / TEMPLATE / "ram"
    after = template(stored) / "ram"
    assert after.read_bytes() == before.read_bytes()
    assert after.stat().st_blocks * 512 < 1 << 20


def sign(bundle: Path, comment: str = "by me") -> str:
    """Sign a bundle with a new key; returns the public key."""
    pair = minisign.KeyPair.generate()
    made = pair.secret_key.sign_file(bundle, trusted_comment=comment)
    bundle.with_name(bundle.name + signature.SUFFIX).write_bytes(bytes(made))
    return str(pair.public_key.to_base64().decode())


def test_templates_come_while_others_remove_and_make_them(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody takes one that is being unpacked for one that a killed command left; a whole one that
    came meanwhile stays. Nobody else enters their folder."""
    unpack, root = parts.unpack, stored.with_name("cache") / "templates"
    done: list[int] = []

    def others(source: IO[bytes], paths: Mapping[str, str], folder: Path) -> None:
        unpack(source, paths, folder)
        if folder.parent == root:
            done.append(template_folder.clean(root))
            work, handle = template_folder.begin(root)
            work.rename(root / TEMPLATE)
            os.close(handle)
            (root / TEMPLATE / "manifest.json").write_text("theirs")

    monkeypatch.setattr(parts, "unpack", others)
    load(stored, sha256=hashlib.sha256(stored.read_bytes()).hexdigest())
    assert done == [0]
    assert [path.name for path in root.iterdir()] == [TEMPLATE]
    assert (root / TEMPLATE / "manifest.json").read_text() == "theirs"
    assert root.stat().st_mode & 0o777 == 0o700


def test_templates_of_a_known_key(stored: Path) -> None:
    """The key is a text or a file. The comment was signed too."""
    key = sign(stored)
    found = load(stored, key=key)
    assert f"templates/{TEMPLATE}" in found.new
    assert found.signed == "by me"
    public = stored.with_name("minisign.pub")
    public.write_bytes(bytes(minisign.PublicKey.from_base64(key)))
    assert load(stored, key=str(public)).signed == "by me"


def test_a_signature_that_does_not_fit(stored: Path, tmp_path: Path) -> None:
    """Another key, other bytes, none, noise: nothing is loaded."""
    key = sign(stored)
    other = sign(stored)
    with pytest.raises(BundleError, match="was not signed with this key"):
        load(stored, key=key)
    good = stored.read_bytes()
    stored.write_bytes(good + b" ")
    with pytest.raises(BundleError, match="was not signed with this key"):
        load(stored, key=other)
    stored.write_bytes(good)
    beside = stored.with_name(stored.name + signature.SUFFIX)
    beside.write_text("noise")
    with pytest.raises(BundleError, match="was not signed with this key"):
        load(stored, key=other)
    beside.unlink()
    with pytest.raises(BundleError, match=r"\.minisig cannot be read: No such file"):
        load(stored, key=other)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("key", ["noise", "RWQ=", "/dev/null", "."])
def test_what_is_no_key(stored: Path, key: str) -> None:
    with pytest.raises(UsageError, match="is no public key of minisign"):
        load(stored, key=key)


PINS = cast(Lock, SimpleNamespace(digest="d" * 64))


def test_a_named_bundle_of_a_known_digest(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its templates are used; another digest is refused, and nothing has changed."""
    template = stored.parent / "cache/templates" / TEMPLATE
    monkeypatch.setenv("LAB_BUNDLE", str(stored))
    bundle_source.filler(Progress(quiet=True), PINS)()
    assert not template.exists()
    monkeypatch.setenv("LAB_BUNDLE_SHA256", "0" * 64)
    with pytest.raises(BundleError):
        bundle_source.filler(Progress(quiet=True), PINS)()
    assert not template.exists()
    monkeypatch.setenv("LAB_BUNDLE_SHA256", hashlib.sha256(stored.read_bytes()).hexdigest())
    bundle_source.filler(Progress(quiet=True), PINS)()
    assert (template / "ram").stat().st_size == 64 << 20


def test_a_named_bundle_that_is_not_signed(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_BUNDLE", str(stored))
    monkeypatch.setenv("LAB_BUNDLE_KEY", "nonsense")
    with pytest.raises(UsageError, match="is no public key of minisign"):
        bundle_source.filler(Progress(quiet=True), PINS)()
    assert not (stored.parent / "cache/toolchain").exists()
