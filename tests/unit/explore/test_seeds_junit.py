"""The JUnit file of an exploration: a case for each seed, with what makes it fail."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

from lab.explore.seeds import Exploration, SeedResult, grouped
from lab.explore.seeds_junit import junit
from lab.model import Layer, Verdict
from lab.scenario import failed

WAITS = failed(Layer.GUEST, "item 7 waits\x1b")
RESULTS = (
    SeedResult(1, Verdict(True)),
    SeedResult(2, WAITS, "runs/race/x", "d", ("1: a pause", "2: a load"), again="run 2"),
    SeedResult(3, WAITS, "runs/race/y", "e", ("1: a load",), again="run 3", debug="debug 3"),
    SeedResult(4, failed(Layer.QEMU, "QEMU ended")),
)


def test_a_case_for_each_seed() -> None:
    groups = list(grouped(RESULTS))
    smallest = replace(RESULTS[2], again="run 3 --keep 1")
    groups[0] = replace(groups[0], smallest=smallest)
    suite = ET.fromstring(junit(Exploration("race", RESULTS, tuple(groups), 2.5))).find("testsuite")
    assert suite is not None
    assert suite.attrib == {
        "name": "race: seeds", "time": "2.500", "tests": "4", "failures": "2", "errors": "1",
        "skipped": "0",
    }  # fmt: skip
    names = [case.get("name") for case in suite.findall("testcase")]
    assert names == ["seed 1", "seed 2", "seed 3", "seed 4"]
    found = suite.find("testcase[@name='seed 2']/failure")
    assert found is not None
    assert found.get("message") == "guest: item 7 waits\ufffd"
    text = str(found.text)
    assert all(words in text for words in ("  2: a load", "run 2", "run 3 --keep 1", "seeds 2, 3"))
    error = suite.find("testcase[@name='seed 4']/error")
    assert error is not None
    assert error.get("type") == "qemu"
    assert suite.find("testcase[@name='seed 1']/*") is None
