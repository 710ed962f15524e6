"""What participants read names files of their seat, and no place on the server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lab.util.cache_folder import cache_root
from lab.web.classroom import FOLDER
from lab.web.commands import Commands
from lab.web.discretion import discreet


@pytest.fixture
def seat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "my cache"))
    folder = tmp_path / "class/runs" / FOLDER / "hello/seats/1"
    folder.mkdir(parents=True)
    return folder


def test_files_of_the_seat_are_named_by_their_place_in_it(
    seat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "{0}/guests/a.c:3: no; logs: {0}/runs/x, '{0}/labs.yaml', in {0}, -I{0}/b {0}/"
    wanted = "guests/a.c:3: no; logs: runs/x, 'labs.yaml', in ., -Ib ."
    assert discreet(said.format(seat), seat) == wanted
    for place in (seat.parents[4], seat.parents[1], seat.parents[3]):
        monkeypatch.chdir(place)
        relative = f"logs: {seat.relative_to(place)}/runs/x"
        assert discreet(relative, seat) == "logs: runs/x"


def test_other_files_of_the_server_are_named_by_their_last_part(
    seat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, project, other = cache_root(), seat.parents[4], seat.with_name("12")
    said = f"{cache}/store/ab/hello.bin is damaged; {project}/labs.yaml:1:2; {other}/runs; {cache}"
    wanted = "…/hello.bin is damaged; …/labs.yaml:1:2; …/runs; …"
    assert discreet(said, seat) == wanted
    assert discreet(f"/tmp/xenlab-0/ab12/qmp.sock {Path(__file__)}", seat).startswith("…/qmp.sock")
    monkeypatch.chdir(project)
    assert discreet("see ../my cache/x/y", seat) == "see …/y"
    assert discreet(f"'{str(cache)[:12]} … [9 more characters]'", seat).startswith("'… … [")


def test_links_lead_to_the_same_names(seat: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(seat.parents[4])
    through = tmp_path / "link" / seat.relative_to(seat.parents[4])
    assert discreet(f"{through}/a {seat}/b", through) == "a b"


def test_what_is_the_same_in_every_system_stays(seat: Path) -> None:
    """Names in dom0, in the toolchain, in a device tree."""
    said = (
        "/build/app/main.c:1:2: error: no\n/usr/bin/arm-none-eabi-gcc /etc/x /tmp/hello /dev/xvda"
    )
    assert discreet(said, seat) == said
    assert discreet("3/4 of / and/or ../..", seat) == "3/4 of / and/or ../.."


def test_what_commands_say(seat: Path, tmp_path: Path) -> None:
    """The file is missing; then it has a mistake."""
    for text in (None, "guests: {hello: {freertos: nosuch}}\nlabs: {hello: {guests: [hello]}}\n"):
        if text:
            (seat / "labs.yaml").write_text(text)
        done = asyncio.run(Commands().run(["lab.up", "hello"], seat / "labs.yaml"))
        assert not done.well
        assert "labs.yaml" in done.said
        assert str(tmp_path) not in done.said
        assert FOLDER not in done.said
