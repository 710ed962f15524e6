"""The pages of an exported site, as HTML that runs no script and loads nothing from elsewhere.

Each has a ``Content-Security-Policy`` that allows the style sheet in it, by its hash, and the
report beside it. All text of a run is escaped: a guest decides what its console says.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.machine import shared_console
from lab.rundir import RunDir
from lab.util import reading
from lab.util.terminal import escape, escape_lines

#: Bytes of a console that a page shows: the last ones.
MOST = 1 << 20
REPORT, INDEX = "report.html", "index.html"
#: What the manifest calls these, and the page.
_FACTS = (
    ("hypervisor", "hypervisor"), ("arch", "architecture"), ("cpu", "processor"),
    ("clock", "clock"), ("digest", "digest"), ("xenlab", "xenlab"),
)  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """A run on the site. ``name``: its folder there; ``no_report``: why it has no timeline."""

    run: RunDir
    name: str
    no_report: str = ""

    @property
    def manifest(self) -> dict[str, Any]:
        return self.run.manifest()

    @property
    def lab(self) -> str:
        return str(self.manifest.get("lab") or self.run.path.parent.name)


def index(runs: Sequence[Shown]) -> str:
    """The first page: a row for each run."""
    rows = "".join(
        f'<tr><th scope="row"><a href="{one.name}/{INDEX}">{_text(one.lab)}</a></th>'
        f"<td>{_verdict(one.manifest)}</td><td>{_text(one.manifest.get('reason') or '')}</td>"
        f"<td>{_text(one.run.id)}</td></tr>\n"
        for one in runs
    )
    head = "<tr><th>Lab</th><th>Verdict</th><th>Reason</th><th>Run</th></tr>"
    return _page(
        "Runs", f"<h1>Runs</h1>\n<table><thead>{head}</thead><tbody>\n{rows}</tbody></table>"
    )


def run(one: Shown) -> str:
    """The page of a run: its verdict, its timeline and its consoles."""
    reason = one.manifest.get("reason")
    parts = [
        f'<p><a href="../{INDEX}">All runs</a></p>',
        f"<h1>{_text(one.lab)}: {_verdict(one.manifest)}</h1>",
        f"<p>{_text(reason)}</p>" if reason else "",
        f"<dl>{''.join(_facts(one))}</dl>",
        _timeline(one),
        *_consoles(one.run),
    ]
    return _page(f"{one.lab}: run {one.run.id}", "\n".join(part for part in parts if part))


def _page(title: str, body: str) -> str:
    style = reading.text(Path(__file__).parent / "assets/site.css")
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{allowed}'; frame-src 'self' file:; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{_text(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}\n"
        "</body>\n</html>\n"
    )


def _text(value: object) -> str:
    """Text of a run, which may be anything, as HTML that shows it."""
    return html.escape(escape(str(value)))


def _verdict(manifest: dict[str, Any]) -> str:
    found = manifest.get("verdict")
    if found == "pass":
        return '<span class="passed">passed</span>'
    layer = f" ({_text(manifest['layer'])})" if manifest.get("layer") else ""
    return f'<span class="failed">failed{layer}</span>' if found else "no verdict"


def _facts(one: Shown) -> Iterator[str]:
    began = one.manifest.get("started")
    if isinstance(began, int | float):
        yield _fact("started", f"{datetime.fromtimestamp(began, UTC):%Y-%m-%d %H:%M} UTC")
    for key, name in _FACTS:
        if value := one.manifest.get(key):
            yield _fact(name, value)


def _fact(name: str, value: object) -> str:
    return f"<dt>{name}</dt><dd>{_text(value)}</dd>"


def _timeline(one: Shown) -> str:
    if one.no_report:
        return f"<p>There is no timeline: {_text(one.no_report)}.</p>"
    return (
        f'<h2>Timeline</h2>\n<p><a href="{REPORT}">Timeline and figures on a page of their own</a>'
        f'</p>\n<iframe src="{REPORT}" title="Timeline and figures" sandbox="allow-scripts">'
        "</iframe>"
    )


def _consoles(run: RunDir) -> Iterator[str]:
    shared_console.bring(run.console_dir)
    for number, (name, log) in enumerate(reversed(run.consoles().items())):
        size = log.stat().st_size
        with reading.binary(log) as stream:
            stream.seek(max(0, size - MOST))
            text = html.escape(escape_lines(stream.read(MOST)))
        left = f"[{size - MOST} bytes are not shown; the log has them]\n" if size > MOST else ""
        yield (
            f"<details{'' if number else ' open'}><summary>{_text(name)}</summary>"
            f'<pre tabindex="0">{left}{text}</pre></details>'
        )
