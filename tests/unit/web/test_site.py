"""An exported site: plain files that run nothing, whatever a guest printed, and are always the
same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab import rundir
from lab.errors import UsageError
from lab.rundir import RunDir
from lab.web import site, site_pages

HOSTILE = "<script>alert(1)</script> & \"'\x1b]0;owned\x07"


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run that failed, of a guest that prints what it should not."""
    made = rundir.new_run(tmp_path / "runs", "hello")
    made.update_manifest(
        lab="hello", verdict="fail", layer="guest", reason=HOSTILE, life=rundir.FINISHED,
        started=1700000000.0, digest="abc",
    )  # fmt: skip
    (made.trace_dir / "log").touch()
    made.console("xen").write_text("Xen 4.17\n")
    made.console("hello").write_text(f"{HOSTILE}\nlast line\n")
    return made


def report(_: RunDir) -> str:
    return "<!doctype html>the report\n"


def none(run: RunDir) -> str:
    raise UsageError(f"the trace of run {run.path} is damaged")


def everything(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_what_a_site_shows(tmp_path: Path, run: RunDir) -> None:
    """The verdict, the consoles and the report; all of it as text that runs nothing."""
    site.write(tmp_path / "site", [run], report)
    found = everything(tmp_path / "site")
    (page,) = [
        name for name in found if name.startswith("1-hello-") and name.endswith("index.html")
    ]
    text = found[page].decode()
    assert "failed (guest)" in text
    assert "Xen 4.17" in text
    assert "last line" in text
    assert 'src="report.html"' in text
    assert page in found["index.html"].decode()
    assert found[page.replace("index.html", "report.html")].startswith(b"<!doctype html>the report")
    for html in (text, found["index.html"].decode()):
        assert "<script" not in html
        assert "\x1b" not in html
        assert "default-src 'none'" in html
        assert "http:" not in html
        assert "https:" not in html
        assert str(tmp_path) not in html


def test_links_lead_to_files_of_the_site(tmp_path: Path, run: RunDir) -> None:
    """They are relative, so the site works from a folder, and below any address."""
    site.write(tmp_path / "site", [run], report)
    for page in (tmp_path / "site").rglob("index.html"):
        text = page.read_text()
        for mark in ('href="', 'src="'):
            for link in (part.split('"')[0] for part in text.split(mark)[1:]):
                assert (page.parent / link).is_file(), link


def test_the_same_runs_give_the_same_bytes(tmp_path: Path, run: RunDir) -> None:
    for name in ("one", "two"):
        site.write(tmp_path / name, [run], report)
    assert everything(tmp_path / "one") == everything(tmp_path / "two")


def test_a_run_without_a_timeline_says_why(tmp_path: Path, run: RunDir) -> None:
    """The words name no folder of the machine on which the site was made."""
    site.write(tmp_path / "site", [run], none)
    found = everything(tmp_path / "site")
    assert not [name for name in found if name.endswith("report.html")]
    words = f"There is no timeline: the trace of run {run.id} is damaged."
    assert any(words.encode() in text for text in found.values())
    (run.trace_dir / "log").unlink()
    site.write(tmp_path / "site", [run], report)
    assert any(b"the run was not traced" in text for text in everything(tmp_path / "site").values())


def test_a_long_console_is_cut_in_words(
    tmp_path: Path, run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_pages, "MOST", 10)
    site.write(tmp_path / "site", [run], none)
    assert any(b"bytes are not shown" in text for text in everything(tmp_path / "site").values())


def test_an_older_site_is_replaced(tmp_path: Path, run: RunDir) -> None:
    folder = tmp_path / "site"
    site.write(folder, [run, run], report)
    site.write(folder, [run], none)
    names = set(everything(folder))
    assert len(names) == 3
    assert names == {*json.loads((folder / "site.json").read_text())["files"], "site.json"}


@pytest.mark.parametrize("names", [["thesis.txt"], ["site.json", "thesis.txt"], ["index.html"]])
def test_a_folder_with_other_files_is_refused(
    tmp_path: Path, run: RunDir, names: list[str]
) -> None:
    """Nothing in it is touched, even if it is a site with a file of somebody else."""
    folder = tmp_path / "site"
    folder.mkdir()
    for name in names:
        (folder / name).write_text('{"files": ["index.html"]}')
    before = everything(folder)
    with pytest.raises(UsageError, match="which no export has written"):
        site.write(folder, [run], report)
    assert everything(folder) == before


@pytest.mark.parametrize("name", ["../thesis.txt", "/etc/passwd", "a/../../b/index.html", "a.txt"])
def test_a_list_cannot_remove_files_elsewhere(tmp_path: Path, run: RunDir, name: str) -> None:
    """Somebody else may have made the folder."""
    (tmp_path / "thesis.txt").write_text("years")
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text("old")
    (folder / "site.json").write_text(json.dumps({"files": [name, "index.html"]}))
    site.write(folder, [run], none)
    assert (tmp_path / "thesis.txt").read_text() == "years"
