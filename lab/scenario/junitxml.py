"""JUnit XML: a suite for each run, a case for each thing that the scenario asks for."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from lab.machine.log_lines import tail
from lab.scenario.report import Case, Outcome, Report, cases

#: The most lines, and the most characters, of a console in a case.
MOST_LINES, MOST_TEXT = 100, 32 << 10
#: Programs that read JUnit XML refuse larger files: beyond this, consoles are left out.
MOST_IN_ALL = 4 << 20


def junit(reports: Sequence[Report]) -> bytes:
    """The results of runs as JUnit XML.

    A case is a failure if it was not met, an error if something below the guests failed so that
    it could not be decided, and skipped if it was still open when the run ended. ``system-out``
    is what a command printed, or the end of the case's console, escaped.
    """
    root = ET.Element("testsuites")
    left = MOST_IN_ALL
    for report in reports:
        left = _suite(root, report, left)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _suite(root: ET.Element, report: Report, left: int) -> int:
    suite = ET.SubElement(root, "testsuite", name=legal(report.lab), time=_time(report.seconds))
    if report.arch:
        properties = ET.SubElement(suite, "properties")
        ET.SubElement(properties, "property", name="arch", value=legal(report.arch))
    found = cases(report)
    for case in found:
        left -= _case(suite, report, case, left)
    suite.set("tests", str(len(found)))
    for kind in ("failure", "error", "skipped"):
        name = kind if kind == "skipped" else f"{kind}s"
        suite.set(name, str(len(suite.findall(f"testcase/{kind}"))))
    return left


def _case(suite: ET.Element, report: Report, case: Case, left: int) -> int:
    """Add a case. Returns how many characters of a console it has."""
    element = ET.SubElement(
        suite, "testcase", classname=legal(report.lab), name=legal(case.name),
        time=_time(case.seconds),
    )  # fmt: skip
    if case.line and report.file:
        element.set("file", legal(os.path.relpath(report.file)))
        element.set("line", str(case.line))
    if case.outcome is Outcome.SKIPPED:
        ET.SubElement(element, "skipped", message="the run ended before this was decided")
    elif case.outcome is not Outcome.PASSED:
        _bad(element, case)
    text = legal(case.output) or _console(report, case.console)
    text = text[:left] if case.outcome is not Outcome.SKIPPED else ""
    if text:
        ET.SubElement(element, "system-out").text = text
    return len(text)


def _bad(element: ET.Element, case: Case) -> None:
    layer = case.layer.value if case.layer else "usage"
    kind = "failure" if case.outcome is Outcome.FAILED else "error"
    message = legal(f"{layer}: {case.reason}")
    found = ET.SubElement(element, kind, type=layer, message=message)
    found.text = legal(f"layer: {layer}\n{case.reason}\nlast lines:\n{case.tail}\n")


def _console(report: Report, name: str) -> str:
    if name not in report.consoles:
        return ""
    return legal(tail(report.consoles[name], MOST_LINES)[-MOST_TEXT:])


def _time(seconds: float) -> str:
    return f"{seconds:.3f}"


def legal(text: str) -> str:
    """Text in which characters that XML 1.0 does not allow (section 2.2) are replaced."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
