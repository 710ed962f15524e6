"""The report needs no other file, and a guest's words never become markup or script."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lab.rundir import RunDir
from lab.trace import drawing, report, timeline, tracks
from lab.trace.timeline import Timeline

VOID = {"meta", "rect", "path", "br", "wbr"}


class Page(HTMLParser):
    """Collects every element with its attributes, and checks that they are nested properly."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page(seen: Timeline) -> str:
    return report.page(seen)


def test_guests_cannot_get_in(page: str) -> None:
    """This run has hostile words in its manifest, consoles and events. All of them stay text."""
    read = Page(page)
    assert read.open == []
    assert [attrs for tag, attrs in read.found if tag == "script"] == [
        {"type": "application/json", "id": "data"}, {},
    ]  # fmt: skip
    assert not any(tag in ("img", "iframe", "object", "link", "base") for tag, _ in read.found)
    assert not any(name.startswith("on") for _, attrs in read.found for name in attrs)
    assert "<img src=x onerror=alert(2)>" in read.text
    assert "\x1b" not in page


def test_nothing_is_asked_for(page: str) -> None:
    """The page has no address of anything, and its policy allows only what is in it."""
    markup = _without_data(page)
    for word in ("src=", "href=", "url(", "@import", "http:", "https:", "fetch(", "import("):
        assert word not in markup, word
    policy = next(attrs["content"] for _, attrs in Page(page).found if "http-equiv" in attrs)
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not any("style" in attrs for _, attrs in Page(page).found)


def _without_data(page: str) -> str:
    """The page without the run's hostile text."""
    return re.sub(r"&lt;.*?&gt;|\\u003c.*?>", "", page)


def test_the_same_page_every_time(run: RunDir, seen: Timeline, page: str) -> None:
    assert report.page(timeline.load(run, seen.lines)) == page


def test_figures_are_there(page: str) -> None:
    text = Page(page).text
    for word in ("rt / fast", "rt / slow", "deadline", "Who delayed whom", "noisy", "CPU 1",
                 "instruction counter", "failed: guest"):  # fmt: skip
        assert word in text


def test_a_run_without_guests_has_a_page(run: RunDir, tmp_path: Path) -> None:
    folder = RunDir(tmp_path / "lab" / "id")
    folder.trace_dir.mkdir(parents=True)
    (folder.trace_dir / "xen.bin").write_bytes((run.trace_dir / "xen.bin").read_bytes())
    assert "CPU 1" in Page(report.page(timeline.load(folder))).text
    (folder.trace_dir / "xen.bin").write_bytes(b"")
    assert Page(report.page(timeline.load(folder))).open == []


def test_too_much_is_cut_by_time_and_said(seen: Timeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "MAX_SLICES", 500)
    drawn = tracks.build(seen)
    window = drawing.window(seen, drawn)
    assert seen.bounds[0] == window.start < window.end < seen.bounds[1]
    assert "the timeline shows the first" in Page(report.page(seen)).text
