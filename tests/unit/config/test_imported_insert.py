"""`lab.import --into`: a hand-written labs.yaml gets new entries and keeps every other byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_files import zimage

from lab import api, config
from lab.errors import ConfigError

BY_HAND = """\
# My labs. \u00e4
guests:            # programs
  first: {kernel: zImage}     # the first
  # second: {kernel: other}

labs:

  one: &one
    guests: [first]

  # of one
  two:
    description: >-
      words over
      lines
    guests:
      - first            # its only guest

matrices:          # none yet
"""
CONFIG = 'name = "new"\nkernel = "zImage"\nmemory = 32\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "zImage").write_bytes(zimage())
    (tmp_path / "new.cfg").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def added(text: str) -> str:
    Path("labs.yaml").write_bytes(text.encode())
    api.import_config(Path("new.cfg"), into=Path("labs.yaml"))
    return Path("labs.yaml").read_bytes().decode()


def test_every_line_stays(folder: Path) -> None:
    after = added(BY_HAND)
    assert after == BY_HAND.replace(
        "# the first\n", "# the first\n  new:\n    kernel: zImage\n    memory: 32M\n"
    ).replace(
        "# its only guest\n",
        "# its only guest\n  new:\n    description: imported from new.cfg\n    guests: [new]\n",
    )
    labs = config.load(folder / "labs.yaml")
    assert list(labs.labs) == ["one", "two", "new"]
    assert labs.guests["new"].memory == 32 << 20


@pytest.mark.usefixtures("folder")
def test_labs_that_are_apart_stay_apart() -> None:
    text = "guests: {}\nlabs:\n  a:\n    guests: []\n\n  b:\n    guests: []\n"
    with pytest.raises(ConfigError):  # 'guests: {}' in braces is no place for lines
        added(text.replace("{}", "{first: {kernel: zImage}}"))
    after = added(text.replace("guests: {}\n", "guests:\n"))
    assert "    guests: []\n\n  new:\n    description" in after


@pytest.mark.parametrize(
    "text",
    [
        "labs:\n  one: {guests: []}\n",
        "labs:\n  one: {guests: []}",
        "\ufefflabs:\n  one: {guests: []}\n",
        "labs:\r\n  one: {guests: []}\r\n",
        "guests:\nlabs:\n  one: {guests: []}\n",
        "guests:\n    deep:\n        kernel: zImage\nlabs:\n    one: {guests: [deep]}\n",
        "labs:\n  one: &a {guests: []}\n  two: *a\n# the end\n",
        "",
    ],
)
def test_odd_files(folder: Path, text: str) -> None:
    """Sections that are missing or empty, other line ends and indents, aliases, no file at all."""
    after = added(text)
    labs = config.load(folder / "labs.yaml")
    assert labs.labs["new"].guests[0].name == "new"
    assert after.startswith(text.rstrip("\r\n").split("\n")[0].rstrip("\r"))
    assert after.count("\n") == after.count("\r\n") or "\r" not in after
    for line in text.splitlines():
        assert line in after.splitlines()


def test_a_new_file(folder: Path) -> None:
    made = api.import_config(Path("new.cfg"), into=Path("sub/labs.yaml"))
    assert made.into == Path("sub/labs.yaml")
    assert config.load(folder / "sub/labs.yaml").guests["new"].memory == 32 << 20


def test_a_link_and_a_mode_stay(folder: Path) -> None:
    (folder / "real.yaml").write_text(BY_HAND)
    (folder / "real.yaml").chmod(0o640)
    (folder / "labs.yaml").symlink_to("real.yaml")
    api.import_config(Path("new.cfg"), into=Path("labs.yaml"))
    assert (folder / "labs.yaml").is_symlink()
    assert (folder / "real.yaml").stat().st_mode & 0o777 == 0o640
    assert "new" in config.load(folder / "real.yaml").labs


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BY_HAND.replace("first", "new"), "labs.yaml:3:3: there is already 'new' in 'guests'"),
        (BY_HAND.replace("two:", "new:"), "labs.yaml:12:3: there is already 'new' in 'labs'"),
        ("labs: {one: {guests: []}}\n", "labs.yaml:1:1: 'labs' is in braces"),
        ("labs:\n  one: {guests: [none]}\n", "labs.yaml:2:18: no guest 'none'"),
        ("labs: [", "labs.yaml:1:8: "),
        ("- a\n", "labs.yaml:1:1: the file must be a mapping"),
    ],
)
def test_a_file_that_would_be_harmed_is_left_alone(folder: Path, text: str, words: str) -> None:
    (folder / "labs.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        api.import_config(Path("new.cfg"), into=Path("labs.yaml"))
    assert words in str(caught.value)
    assert (folder / "labs.yaml").read_text() == text
