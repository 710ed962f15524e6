"""The archive's address is read from the machine, in both of apt's notations."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.util import debian
from toolchain.conftest import Fakes

ONE_LINE = """\
# comment
deb-src http://src.test/debian bookworm main
deb http://other.test/stuff stable thing
deb http://updates.test/debian bookworm-updates main
deb [arch=amd64 signed-by=/k.gpg] http://a.test/debian/ bookworm main contrib
"""

STANZAS = """\
Types: deb
URIs: https://tools.test/repo
Suites: stable
Components: stuff

Enabled: no
Types: deb
URIs: http://off.test/debian
Suites: bookworm
Components: main

Types: deb deb-src
URIs: http://a.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /k.gpg
"""


@pytest.mark.parametrize("text", [ONE_LINE, STANZAS])
def test_the_main_suite_is_found(text: str) -> None:
    """Not sources, not updates, not another vendor's archive."""
    assert debian.archive_of_sources(text) == "http://a.test/debian"
    assert debian.archive_of_sources(text, "bookworm") == "http://a.test/debian"
    assert debian.archive_of_sources(text, "trixie") is None


def test_local_archives_are_of_no_use_inside() -> None:
    """Their files are not visible there."""
    assert debian.archive_of_sources("deb file:/mirror bookworm main\n") is None


def test_apt_knows_best(fakes: Fakes) -> None:
    """By the origin that the index states, whatever the sources look like."""
    fakes.add(
        "apt-get", 'print("http://s.test/d bookworm-security\\nhttp://a.test/debian/ bookworm")'
    )
    assert debian.archive_of_this_machine() == "http://a.test/debian"


@pytest.mark.parametrize(("id_", "found"), [("debian", "http://a.test/debian"), ("ubuntu", None)])
def test_before_apt_has_read_an_index_the_sources_do(
    tmp_path: Path, fakes: Fakes, monkeypatch: pytest.MonkeyPatch, id_: str, found: str | None
) -> None:
    """A fresh container has no index. Another distribution's archive is not Debian's."""
    fakes.add("apt-get")
    (tmp_path / "etc/apt/sources.list.d").mkdir(parents=True)
    (tmp_path / "etc/os-release").write_text(f'ID={id_}\nVERSION_CODENAME="bookworm"\n')
    (tmp_path / "etc/apt/sources.list.d/debian.sources").write_text(STANZAS)
    monkeypatch.setattr(debian, "ROOT", tmp_path)
    assert debian.archive_of_this_machine() == found


def test_only_proxies_are_taken_from_apt(fakes: Fakes) -> None:
    """Nothing else of its configuration is used."""
    text = (
        'APT::Architecture "amd64";\nAcquire::http::Proxy "http://p:1";\nAcquire::http::Proxy "";\n'
    )
    fakes.add("apt-config", f"print({text!r})")
    assert debian.proxies_of_this_machine() == ('Acquire::http::Proxy "http://p:1";',)


def test_a_machine_without_apt_has_neither(
    fakes: Fakes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is no error."""
    assert fakes.calls("apt-get") == []
    monkeypatch.setattr(debian, "ROOT", tmp_path)
    assert debian.archive_of_this_machine() is None
    assert debian.proxies_of_this_machine() == ()


def test_a_file_that_apt_could_not_download_is_named() -> None:
    """With its name in the archive and the reason, but without the address."""
    said = "Err:1 x\nE: Failed to fetch http://a.test/pool/g%2b%2b_1_amd64.deb  Connection failed"
    assert debian.not_fetched(f"{said} [IP: 127.0.0.1 80]\n") == (
        "g++_1_amd64.deb: Connection failed"
    )
    assert debian.not_fetched("E: Failed to fetch http://a.test/x.deb  404  Not Found\n") == (
        "x.deb: 404 Not Found"
    )
    assert debian.not_fetched("E: Unable to locate package x") == ""
