"""Parts of a CI job become one outcome; what is missing or does not belong there is named."""

from __future__ import annotations

import dataclasses
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from lab import api
from lab.api import outcomes
from lab.errors import UsageError
from lab.explore.outcome import Outcome, Row
from lab.explore.shards import Shard

ASKED = ("one", "two", "three")
DIGEST = {name: letter * 64 for name, letter in zip(ASKED, "abc", strict=True)}


def row(name: str, run: str = "") -> Row:
    return Row(name, name, "PASS", 0, "", 0.1, 2.0, DIGEST[name], "none", f"{name}/{run or 'x'}")


def part(folder: Path, names: tuple[str, ...], shard: Shard | None = None) -> Path:
    """A copy of ``runs/`` as another machine left it."""
    place = folder / outcomes.PLACE / "20260101-000000-abcd"
    place.mkdir(parents=True)
    (place.parent / "latest").symlink_to(place.name)
    suites = "".join(f'<testsuite name="{name}" tests="1"/>' for name in names)
    found = Outcome(ASKED, tuple(map(row, names)), shard)
    outcomes.write(place, found, f"<testsuites>{suites}</testsuites>".encode())
    return folder


@pytest.fixture
def context(tmp_path: Path) -> api.Context:
    return api.Context(tmp_path / "labs.yaml")


def test_parts_give_the_same_table_as_one_run(context: api.Context, tmp_path: Path) -> None:
    """In the order of the labs, whatever the order of the parts."""
    whole = part(tmp_path / "whole", ASKED)
    one = part(tmp_path / "a", ("three",), Shard(1, 2))
    two = part(tmp_path / "b" / "runs", ("one", "two"), Shard(2, 2))
    file = tmp_path / "out" / "all.xml"
    found = api.merge(context, [one, two.parent, one], file)
    assert found.table() == api.merge(context, [whole]).table()
    assert found.exit_status == 0
    for junit in (file, found.folder / outcomes.JUNIT):
        suites = ET.parse(junit).getroot().findall("testsuite")
        assert [suite.get("name") for suite in suites] == list(ASKED)
    again = api.merge(context, [found.folder])
    assert again.outcome == found.outcome
    assert json.loads(json.dumps(found.summary()))["passed"] == 3


def test_a_copy_may_have_lost_its_links(context: api.Context, tmp_path: Path) -> None:
    """The newest outcome counts all the same."""
    folder = part(tmp_path / "a", ASKED) / outcomes.PLACE
    newest = folder / "20270101-000000-abcd"
    outcomes.write(newest, Outcome(ASKED, (row("two"),)), b"<testsuites/>")
    (folder / "latest").unlink()
    for name in (folder, tmp_path / "a"):
        assert outcomes.place_of(name) == newest
    assert api.merge(context, [folder]).outcome.passed == 1


def test_a_lab_that_no_part_ran_is_a_failure(context: api.Context, tmp_path: Path) -> None:
    """The reason is named: a shard is not there, or the shards were not cut alike."""
    one = part(tmp_path / "a", ("three",), Shard(1, 3))
    two = part(tmp_path / "b", ("one",), Shard(2, 3))
    found = api.merge(context, [one, two])
    assert [line.verdict for line in found.outcome.rows] == ["PASS", "MISSING", "PASS"]
    assert "these shards are not here: 3/3" in found.outcome.rows[1].reason
    assert found.exit_status == 3
    errors = ET.parse(found.folder / outcomes.JUNIT).getroot().findall("testsuite/testcase/error")
    assert len(errors) == 1
    three = part(tmp_path / "c", ("one",), Shard(3, 3))
    found = api.merge(context, [one, two, three])
    assert "different files times.json" in found.outcome.rows[2].reason


def test_digests_are_compared(context: api.Context, tmp_path: Path) -> None:
    """Two machines ran one lab. If their run folders are here, the first difference is named."""
    one, two = part(tmp_path / "a", ASKED), part(tmp_path / "b", ASKED)
    place = outcomes.place_of(two)
    rows = (dataclasses.replace(row("one"), digest="f" * 64), row("two"), row("three"))
    outcomes.write(place, Outcome(ASKED, rows), b"<testsuites/>")
    found = api.merge(context, [one, two])
    assert (found.exit_status, len(found.differing)) == (1, 1)
    assert found.differing[0].difference is None
    for folder, text in ((one, "hello\n"), (two, "hullo\n")):
        (folder / "one" / "x" / "console").mkdir(parents=True)
        (folder / "one" / "x" / "console" / "guest.log").write_text(text)
    difference = api.merge(context, [one, two]).differing[0].difference
    assert difference is not None
    assert (difference.file, difference.other) == ("console/guest.log", "hullo")


def test_what_cannot_be_merged(context: api.Context, tmp_path: Path) -> None:
    good = part(tmp_path / "a", ASKED)
    with pytest.raises(UsageError, match="no outcome of runs is in"):
        api.merge(context, [good, tmp_path])
    with pytest.raises(UsageError, match="nothing to merge"):
        api.merge(context, [])
    other = part(tmp_path / "b", ())
    outcomes.write(outcomes.place_of(other), Outcome(("one",), ()), b"<testsuites/>")
    with pytest.raises(UsageError, match="do not belong together"):
        api.merge(context, [good, other])
    (outcomes.place_of(good) / outcomes.JUNIT).write_text("<")
    with pytest.raises(UsageError, match=r"junit\.xml"):
        api.merge(context, [good])
    (outcomes.place_of(good) / outcomes.OUTCOME).write_text("{}")
    with pytest.raises(UsageError, match=r"outcome\.json"):
        api.merge(context, [good])


def test_times_are_kept_for_the_next_shards(context: api.Context, tmp_path: Path) -> None:
    """Those of labs that did not run stay."""
    assert outcomes.times(context) == {}
    (tmp_path / "times.json").write_text('{"old": 7, "one": 9}')
    found = api.merge(context, [part(tmp_path / "a", ("one", "two"))])
    assert api.write_times(context, found) == tmp_path / "times.json"
    assert outcomes.times(context) == {"old": 7, "one": 2, "two": 2}
    for wrong in ("[]", "{", '{"one": "x"}', '{"one": null}'):
        (tmp_path / "times.json").write_text(wrong)
        with pytest.raises(UsageError, match=r"times\.json"):
            outcomes.times(context)
