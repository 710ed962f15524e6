"""The doctor checks everything, changes nothing and never fails itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.doctor import checks
from lab.doctor.checks import Finding, Grade
from lab.store import Store
from lab.toolchain import tree_cache
from lab.util import debian
from toolchain.conftest import Fakes


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No archive is asked."""
    monkeypatch.setattr(debian, "archive_of_this_machine", lambda: None)


def look(tmp_path: Path) -> dict[str, Finding]:
    return {finding.name: finding for finding in checks.check(tmp_path / "c", tmp_path / "r")}


@pytest.mark.usefixtures("fakes", "ordinary_user")
def test_a_bare_machine_is_told_what_to_install(tmp_path: Path) -> None:
    """With the command, for a user who may not install it."""
    found = look(tmp_path)
    assert found["bwrap"].status is Grade.FAIL
    assert "apt-get install bubblewrap" in found["bwrap"].hint
    assert found["mmdebstrap"].status is Grade.FAIL
    assert found["toolchain"].status is Grade.OK
    assert list(tmp_path.iterdir()) == [tmp_path / "fakes"]


def test_forbidden_namespaces_name_the_switch(
    tmp_path: Path, fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example Ubuntu's."""
    fakes.add("bwrap", 'sys.exit("bwrap: setting up uid map: Permission denied")')
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    switch = "kernel/apparmor_restrict_unprivileged_userns"
    monkeypatch.setattr(checks, "_sysctl", lambda name: "1" if name == switch else "")
    found = look(tmp_path)["namespaces"]
    assert found.status is Grade.FAIL
    assert "uid map" in found.what
    assert "AppArmor" in found.hint


@pytest.mark.usefixtures("fakes")
def test_an_archive_out_of_reach_fails_an_empty_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the toolchain exists, it is only a warning."""
    monkeypatch.setattr(debian, "archive_of_this_machine", lambda: "http://127.0.0.1:9/debian")
    found = look(tmp_path)["archive"]
    assert found.status is Grade.FAIL
    monkeypatch.setattr(tree_cache, "find", lambda *_, **__: object())
    assert checks._archive(tmp_path).status is Grade.WARN


@pytest.mark.usefixtures("fakes")
def test_stored_images_are_listed_with_their_inputs(tmp_path: Path) -> None:
    """Kind, size, files, inputs."""
    cache = tmp_path / "c"

    def build(into: Path) -> None:
        (into / "f").write_bytes(b"12345")

    Store(cache).make("dom0", {"a": 1}, build)
    found = look(tmp_path)["images"]
    assert found.items[0]["kind"] == "dom0"
    assert found.items[0]["size"] == 5
    assert found.items[0]["inputs"] == {"a": 1}


@pytest.mark.usefixtures("fakes")
def test_findings_are_json(tmp_path: Path) -> None:
    """All of them."""
    for finding in look(tmp_path).values():
        assert json.loads(json.dumps(finding.to_json()))["status"] in {"ok", "warn", "fail"}


@pytest.mark.usefixtures("fakes")
def test_a_check_that_breaks_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other checks still run."""

    def broken() -> Finding:
        raise RuntimeError("no meminfo")

    monkeypatch.setattr(checks, "_memory", broken)
    found = look(tmp_path)
    assert "no meminfo" in found["doctor"].what
    assert "docker" in found
