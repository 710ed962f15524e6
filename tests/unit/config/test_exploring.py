"""``explore`` of a lab in labs.yaml: what is read, what is refused, and at which place."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_files import zimage

from lab import config, plan
from lab.errors import ConfigError
from lab.model import Bounds, Lab, Variable

HEAD = """\
guests:
  g: {kernel: g.bin}
  big: {kernel: g.bin, memory: 800M}
  early: {kernel: g.bin, start: device-tree}
labs:
  one:
    guests: [g]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "g.bin").write_bytes(zimage())
    return tmp_path


def load(folder: Path, explore: str) -> Lab:
    file = folder / "labs.yaml"
    file.write_text(f"{HEAD}    explore: {explore}\n")
    return config.load(file).labs["one"]


def test_all_keys(folder: Path) -> None:
    (folder / "labs.yaml").write_text(HEAD.replace("800M", "8M"))
    text = "{vary: [pause, order], within: 2s, most: 3, longest: 5ms, neighbour: h}"
    (folder / "labs.yaml").write_text(
        HEAD.replace("labs:", "  h: {kernel: g.bin}\nlabs:") + f"    explore: {text}\n"
    )
    lab = config.load(folder / "labs.yaml").labs["one"]
    assert lab.explore == Bounds((Variable.PAUSE, Variable.ORDER), 2.0, 3, 0.005, "h")
    assert [one.name for one in lab.later] == ["h"]
    assert plan.plan(lab).consoles == ("xen", "dom0", "g", "h")


def test_defaults(folder: Path) -> None:
    assert load(folder, "{vary: ticks}").explore == Bounds((Variable.TICKS,))
    assert load(folder, "{}").explore == Bounds()


@pytest.mark.parametrize(
    ("explore", "message"),
    [
        ("{vary: [pauses]}", "labs.yaml:8:22: unknown value 'pauses'; did you mean 'pause'?"),
        ("{vary: [pause, pause]}", "labs.yaml:8:29: 'pause' is in the list twice"),
        ("{vary: []}", "labs.yaml:8:21: the list is empty"),
        ("{longest: 99us}", "labs.yaml:8:24: 'longest': a pause or a load lasts at least 100us"),
        ("{most: 0}", "'most': '0' is not a number from 1 to 50"),
        ("{within: 0s}", "is out of range"),
        ("{neighbour: x}", "no guest 'x'"),
        ("{neighbour: g}", "labs.yaml:8:26: guest 'g' starts with the lab; name another one"),
        ("{neighbour: early}", "Xen boots guest 'early'"),
        ("{neighbour: big}", "lab 'one' has 1G, but needs"),
        ("{seeds: 3}", "unknown key 'seeds'"),
        ("[pause]", "'explore' must be a mapping"),
    ],
)
def test_what_is_refused(folder: Path, explore: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(folder, explore)
    assert message in caught.value.message
