"""JUnit XML of an exploration: one suite, and a case for each seed.

A seed is the same run in every job. So a CI system that compares jobs shows which seeds began to
fail. Groups would have no names that stay.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator

from lab.explore.seeds import Exploration, SeedGroup, SeedResult
from lab.model import Layer
from lab.scenario.junitxml import legal


def junit(found: Exploration) -> bytes:
    """A seed is a failure if a guest failed, and an error if something below the guests did.

    A seed that an interrupt left out has no case.
    """
    root = ET.Element("testsuites")
    name = legal(f"{found.lab}: seeds")
    suite = ET.SubElement(root, "testsuite", name=name, time=f"{found.seconds:.3f}")
    groups = {one.seed: group for group in found.groups for one in group.results}
    for one in found.results:
        case = ET.SubElement(suite, "testcase", classname=name, name=f"seed {one.seed}")
        if not one.verdict.passed:
            _bad(case, one, groups.get(one.seed))
    suite.set("tests", str(len(found.results)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    suite.set("skipped", "0")
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _bad(case: ET.Element, one: SeedResult, group: SeedGroup | None) -> None:
    layer = one.verdict.layer
    kind = "failure" if layer is Layer.GUEST else "error"
    word = str(layer or "usage")
    message = legal(f"{word}: {one.verdict.reason}")
    found = ET.SubElement(case, kind, type=word, message=message)
    found.text = legal("\n".join(["", *_words(one, group), ""]))


def _words(one: SeedResult, group: SeedGroup | None) -> Iterator[str]:
    yield "what this seed changes:"
    yield from (f"  {words}" for words in one.disturbances)
    yield from filter(None, (one.again, one.debug))
    smallest = group and group.smallest
    if smallest and group and smallest.again != one.again:
        yield f"the fewest changes that fail this way, of seeds {group.some_seeds}:"
        yield from (f"  {words}" for words in smallest.disturbances)
        yield from filter(None, (smallest.again, smallest.debug))
