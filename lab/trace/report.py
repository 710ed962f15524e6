"""The report: one HTML page that needs no other file and sends no request.

A ``Content-Security-Policy`` in the page allows only the style sheet and the script that are in
it, by their hashes. So no other script runs and nothing is requested, whatever a guest printed.
The same run always gives the same page, byte for byte.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files as package_files
from pathlib import Path
from string import Template
from typing import Any

from lab.trace import drawing, jobs, report_tables, stats, tracks
from lab.trace.charts import length_words
from lab.trace.jobs import Jobs
from lab.trace.report_tables import text
from lab.trace.timeline import Timeline
from lab.util import files

VIRTUAL = (
    "Time is QEMU’s instruction counter. It is the same in every run, but it is not the time of a "
    "cycle-accurate board."
)
HOST = "Time is the host’s clock, so QEMU’s speed and the host’s load affect every figure."


#: What the page says of :class:`Replay`, for eyes and for screen readers.
GOTO = " A click, or Enter for the middle, shows the command that executes the run again to there."
CHOOSES = " Enter shows the command that executes the run again to the middle."


@dataclass(frozen=True)
class Replay:
    """How the run of a report is executed again to a moment.

    Attributes:
        command: the command, to which ``--at`` with seconds since the guests began is added.
        began, until: when the guests began, in seconds of the timeline, and how many seconds later
            the run was decided.
    """

    command: str
    began: float
    until: float


def write(timeline: Timeline, path: Path, replay: Replay | None = None) -> None:
    """Write a run's report to a file.

    Raises:
        OSError: it cannot be written.
    """
    files.write_atomic(path, page(timeline, replay))


def page(timeline: Timeline, replay: Replay | None = None) -> str:
    """A run's report as HTML."""
    found = stats.figures(timeline)
    periodic = {
        (guest.name, number): mine
        for guest in timeline.guests.values()
        for number, mine in jobs.find(guest, timeline.hypervisor).items()
    }
    drawn = tracks.build(timeline)
    style, script = _asset("report.css"), _script()
    return Template(_asset("report.html")).substitute(
        _head(timeline, found, drawn),
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        data=_json(drawing.data(timeline, drawn, periodic) | _again(replay)),
        goto=GOTO if replay else "",
        chooses=CHOOSES if replay else "",
        sections="".join(_sections(timeline, found, periodic)),
        footer=text(f"xenlab {timeline.manifest.get('xenlab', '')} · run {timeline.run}"),
    )


def _again(replay: Replay | None) -> dict[str, Any]:
    return {"replay": asdict(replay) if replay else None}


def _head(timeline: Timeline, found: Mapping[str, Any], drawn: tracks.Tracks) -> dict[str, str]:
    lab = str(timeline.manifest.get("lab") or timeline.run.partition("/")[0] or "run")
    length = length_words(found["trace"]["seconds"])
    guests = ", ".join(timeline.guests) or "no traced guest"
    reason = timeline.manifest.get("reason")
    return {
        "title": text(f"{lab}: timing report"),
        "lab": text(lab),
        "verdict": _verdict(timeline),
        "subtitle": text(f"{length} traced · {guests} · run {timeline.run}"),
        "reason": f'<p class="note bad">{text(reason)}</p>' if reason else "",
        "tiles": "".join(_tiles(found)),
        "notes": _notes(timeline, drawn),
    }


def _verdict(timeline: Timeline) -> str:
    verdict = timeline.manifest.get("verdict")
    if verdict == "pass":
        return '<span class="pill pass">passed</span>'
    if verdict:
        layer = timeline.manifest.get("layer")
        return f'<span class="pill fail">failed{text(f": {layer}" if layer else "")}</span>'
    return '<span class="pill">no verdict</span>'


def _tiles(found: Mapping[str, Any]) -> Iterator[str]:
    rows = found["tasks"]
    if rows:
        count, late = sum(row["jobs"] for row in rows), sum(row["misses"] for row in rows)
        yield _tile(f"{late} of {count}", "jobs were late", bad=late > 0)
        yield from _worst(rows, "jitter", "largest jitter")
        yield from _worst(rows, "hypervisor", "longest delay by the hypervisor")
    waits = [(row["runnable"]["each"] or {}).get("max", 0.0) for row in found["vcpus"]]
    if waits and not rows:
        yield _tile(length_words(max(waits)), "longest wait of a virtual CPU")
    if found["pcpus"]:
        yield _tile(str(sum(row["switches"] for row in found["pcpus"])), "switches by Xen")
    lost = found["trace"]["xen_lost"] + sum(g["lost"] for g in found["trace"]["guests"].values())
    yield _tile(str(lost), "records lost", bad=lost > 0)


def _worst(rows: list[dict[str, Any]], name: str, words: str) -> Iterator[str]:
    worst = max((row for row in rows if row[name]), key=lambda row: row[name]["max"], default=None)
    if worst:
        yield _tile(length_words(worst[name]["max"]), f"{words} ({worst['task']})")


def _tile(value: str, words: str, *, bad: bool = False) -> str:
    kind = "tile bad" if bad else "tile"
    return f'<div class="{kind}"><b>{text(value)}</b><span>{text(words)}</span></div>'


def _notes(timeline: Timeline, drawn: tracks.Tracks) -> str:
    notes = list(timeline.notes)
    end = drawing.window(timeline, drawn).end
    if end < timeline.bounds[1]:
        seen = length_words((end - timeline.bounds[0]) / timeline.clock.frequency)
        notes.append(f"the timeline shows the first {seen}; trace.export has all of it")
    return "".join(f'<p class="note">{text(note)}</p>' for note in notes)


def _sections(
    timeline: Timeline, found: Mapping[str, Any], periodic: Mapping[tuple[str, int], Jobs]
) -> Iterator[str]:
    yield report_tables.tasks(found, timeline, periodic)
    yield report_tables.delays(found)
    yield report_tables.cpus(found, timeline)
    yield report_tables.console(timeline.lines)
    clock = VIRTUAL if timeline.manifest.get("clock") == "virtual" else HOST
    yield report_tables.section("What ran", clock, report_tables.facts(_ran(timeline, found)))


def _ran(timeline: Timeline, found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    manifest = timeline.manifest
    yield "Run", text(timeline.run)
    if manifest.get("arch"):
        board = (f"{key} {manifest[key]}" for key in ("cpu", "gic") if manifest.get(key))
        yield "Machine", text(", ".join((str(manifest["arch"]), *board)))
    made_of = manifest.get("fingerprint")
    if isinstance(made_of, dict) and made_of:
        parts = (
            f"{text(name)} <code>{text(str(key)[:16])}</code>" for name, key in made_of.items()
        )
        yield "Fingerprint", ", ".join(parts)
    if manifest.get("digest"):
        yield "Digest", f"<code>{text(manifest['digest'])}</code>"
    phases = manifest.get("phases")
    if isinstance(phases, dict) and phases:
        known = [(v, k) for k, v in phases.items() if isinstance(v, int | float)]
        steps = (f"{text(name)} {seconds:.2f} s" for seconds, name in sorted(known))
        yield "Phases, since the machine’s start", ", ".join(steps)
    for name, key in (("Xen’s arguments", "xen_args"), ("dom0’s arguments", "dom0_args")):
        if manifest.get(key):
            yield name, f"<code>{text(manifest[key])}</code>"
    yield from _images(manifest)
    trace = found["trace"]
    records = [f"Xen {trace['xen_records']}"]
    records += [f"{text(name)} {guest['records']}" for name, guest in trace["guests"].items()]
    yield "Records", ", ".join(records)
    yield "Counter", f"{trace['frequency'] / 1e6:g} MHz"


def _images(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    toolchain = manifest.get("toolchain")
    versions = toolchain.get("versions") if isinstance(toolchain, dict) else None
    if isinstance(versions, dict) and versions.get("qemu"):
        yield "QEMU", text(versions["qemu"])
    groups = [manifest.get("images")]
    guests = manifest.get("guests")
    named = guests if isinstance(guests, dict) else {}
    for prefix, group in [("", groups[0]), *((f"{name}: ", each) for name, each in named.items())]:
        for kind, image in group.items() if isinstance(group, dict) else ():
            if isinstance(image, dict) and image.get("sha256"):
                yield f"{prefix}{kind}", f"<code>{text(str(image['sha256'])[:16])}</code>"


def _script() -> str:
    parts = "".join(_asset(name) for name in ("draw.js", "moment.js", "view.js"))
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


def _asset(name: str) -> str:
    return (package_files("lab.trace") / "assets" / name).read_text(encoding="utf-8")


def _hash(inline: str) -> str:
    """The name of inline text in a policy: a hash-source of CSP level 3."""
    return "sha256-" + base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()


def _json(value: Any) -> str:
    """JSON that cannot end the HTML element that holds it, because it has no ``<``."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
