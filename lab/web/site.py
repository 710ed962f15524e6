"""Writes the pages of finished runs as a site of plain files, which needs no server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from lab.errors import LabError, UsageError
from lab.rundir import RunDir
from lab.util import files, reading
from lab.util.terminal import quote
from lab.web import site_pages
from lab.web.reports import is_traced
from lab.web.site_pages import INDEX, REPORT, Shown

#: The list of a site's files. A folder that has it is a site of ours, and may be written again.
MARK = "site.json"
_ODD = re.compile(r"[^A-Za-z0-9._-]")

#: Makes the report of a run, as text. It raises an error of the lab if there is none.
Reporter = Callable[[RunDir], str]


def write(folder: Path, runs: Sequence[RunDir], report: Reporter) -> None:
    """Write a page for each run into a folder, and one that lists them.

    The same runs give the same bytes.

    Raises:
        UsageError: there are other files in the folder.
        OSError: it cannot be written.
    """
    _make_room(folder)
    written: dict[str, str] = {}
    shown = []
    for number, run in enumerate(runs, 1):
        name = f"{number}-{_ODD.sub('_', f'{run.path.parent.name}-{run.id}')}"
        found, why = _report(run, report)
        shown.append(Shown(run, name, why))
        written[f"{name}/{INDEX}"] = site_pages.run(shown[-1])
        if not why:
            written[f"{name}/{REPORT}"] = found
    written[INDEX] = site_pages.index(shown)
    _write(folder, written)


def _report(run: RunDir, report: Reporter) -> tuple[str, str]:
    """The report, and why there is none. A site says nothing of where it was made."""
    if not is_traced(run):
        return "", "the run was not traced"
    try:
        return report(run), ""
    except LabError as error:
        return "", error.message.replace(str(run.path), run.id)


def _make_room(folder: Path) -> None:
    """Remove the site that was there. Whatever else there is, is not ours."""
    names = [path.name for path in sorted(folder.iterdir())] if folder.exists() else []
    if not names:
        return
    listed = _listed(folder / MARK) if MARK in names and not folder.is_symlink() else []
    ours = {MARK, *(PurePosixPath(name).parts[0] for name in listed)}
    if others := [name for name in names if name not in ours or not listed]:
        raise UsageError(
            f"the folder {quote(str(folder))} has {quote(others[0])}, which no export has written",
            hint="name a new folder, or empty this one",
        )
    for path in (folder / name for name in (*listed, MARK)):
        if not path.parent.is_symlink():
            path.unlink(missing_ok=True)


def _listed(mark: Path) -> list[str]:
    """The files of a site, as its list says; others than a site has are left out."""
    try:
        names = reading.json_file(mark)["files"]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{mark} is not the list of an exported site") from error
    return [name for name in names if isinstance(name, str) and _is_plain(name)]


def _is_plain(name: str) -> bool:
    parts = PurePosixPath(name).parts
    known = name == INDEX or (len(parts) == 2 and parts[1] in (INDEX, REPORT))
    return known and ".." not in parts and not name.startswith("/")


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    """The list comes first: a site that was written only in part can be written again."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = json.dumps({"files": sorted(texts)}, indent=1) + "\n"
    files.write_atomic(folder / MARK, mark, durable=False)
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        files.write_atomic(folder / name, text, durable=False)
