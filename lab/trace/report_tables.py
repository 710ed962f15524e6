"""The report's tables. :func:`text` escapes everything that a guest or a user wrote."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lab.trace.charts import histogram, length_words, stack
from lab.trace.colours import colour, task_colour, task_title
from lab.trace.jobs import PARTS, Jobs
from lab.trace.stats import values
from lab.trace.timeline import ConsoleLine, Timeline
from lab.util.terminal import escape

#: If the consoles have more lines, only the first half and the last half of this many are shown.
MAX_LINES = 3000
PART_WORDS = {
    "execution": "execution",
    "interrupts": "interrupts",
    "own": "guest’s other tasks",
    "hypervisor": "hypervisor",
    "blocked": "vCPU asleep",
    "backlog": "earlier job",
}
Row = Mapping[str, Any]


def text(value: object) -> str:
    """Any value as harmless HTML text, also for a quoted attribute."""
    return html.escape(escape(str(value)), quote=True)


def section(name: str, about: str, body: str) -> str:
    slug = name.lower().replace(" ", "-")
    return (
        f'<section aria-labelledby="h-{slug}"><h2 id="h-{slug}">{text(name)}</h2>'
        f'<p class="about">{about}</p>{body}</section>\n'
    )


def tasks(found: Row, timeline: Timeline, jobs: Mapping[tuple[str, int], Jobs]) -> str:
    """Periodic tasks: a table of figures, the parts of response times, and histograms."""
    rows: Sequence[Row] = found["tasks"]
    if not rows:
        return ""
    about = (
        "Jitter is the time from a job’s release to its beginning, response the time from its "
        "release to its end, execution the time for which the task itself ran. Times are in "
        "milliseconds."
    )
    body = _scroll(_task_table(rows, timeline), "Periodic tasks")
    body += _anatomy(rows, timeline)
    charts = "".join(_charts(row, timeline, jobs) for row in rows)
    return section("Periodic tasks", about, f'{body}<div class="charts">{charts}</div>')


def _task_table(rows: Sequence[Row], timeline: Timeline) -> str:
    head = (
        '<thead><tr><th rowspan="2">Task</th><th rowspan="2">Priority</th>'
        '<th rowspan="2">Period</th><th rowspan="2">Jobs</th><th rowspan="2">Late</th>'
        '<th colspan="3" class="over">Jitter</th><th colspan="3" class="over">Response</th>'
        '<th colspan="2" class="over">Execution</th>'
        '</tr><tr class="under"><th>p50</th><th>p99.9</th><th>max</th>'
        "<th>p50</th><th>p99.9</th><th>max</th><th>p50</th><th>max</th></tr></thead>"
    )
    body = "".join(_task_row(row, timeline) for row in rows)
    return f"<table>{head}<tbody>{body}</tbody></table>"


def _task_head(row: Row, timeline: Timeline) -> str:
    """The head of a row: the task and its colour."""
    guest = timeline.guests[row["guest"]]
    name = f"{row['guest']} / {task_title(guest, row['number'])}"
    swatch = f'<i class="swatch f-{task_colour(guest, row["number"])}"></i>'
    return f'<th scope="row" class="named">{swatch}{text(name)}</th>'


def _task_row(row: Row, timeline: Timeline) -> str:
    shown = [("jitter", "p50"), ("jitter", "p999"), ("jitter", "max"), ("response", "p50"),
             ("response", "p999"), ("response", "max"), ("execution", "p50"),
             ("execution", "max")]  # fmt: skip
    cells = "".join(f"<td>{_ms((row[part] or {}).get(name))}</td>" for part, name in shown)
    bad = ' class="bad"' if row["misses"] else ""
    return (
        f"<tr>{_task_head(row, timeline)}"
        f"<td>{row['priority']}</td><td>{_ms(row['period'])}</td><td>{row['jobs']}</td>"
        f"<td{bad}>{row['misses']}</td>{cells}</tr>"
    )


def _anatomy(rows: Sequence[Row], timeline: Timeline) -> str:
    key = "".join(
        f'<span><i class="swatch f-{part}"></i>{text(PART_WORDS[part])}</span>' for part in PARTS
    )
    means = [{part: (row[part] or {}).get("mean", 0.0) for part in PARTS} for row in rows]
    longest = max((sum(mean.values()) for mean in means), default=0.0)
    lines = "".join(
        f"<tr>{_task_head(row, timeline)}"
        f'<td class="wide-cell">{stack(list(mean.items()), longest)}</td>'
        + "".join(f"<td>{_ms(mean[part])}</td>" for part in PARTS)
        + f"<td>{_ms(sum(mean.values()))}</td></tr>"
        for row, mean in zip(rows, means, strict=True)
    )
    names = "".join(f"<th>{text(PART_WORDS[part])}</th>" for part in PARTS)
    table = (
        f"<table><thead><tr><th>Mean response</th><th></th>{names}<th>all</th></tr></thead>"
        f"<tbody>{lines}</tbody></table>"
    )
    return (
        '<div class="bar charts"><h3>Where a response time goes</h3></div>'
        f'<div class="key">{key}</div>{_scroll(table, "Parts of response times")}'
    )


def _charts(row: Row, timeline: Timeline, jobs: Mapping[tuple[str, int], Jobs]) -> str:
    guest, mine = timeline.guests[row["guest"]], jobs[row["guest"], row["number"]]
    measured, tint = values(guest, mine), task_colour(guest, row["number"])
    found = ""
    for name, due in (("response", float(row["deadline"])), ("jitter", 0.0)):
        some = row[name]
        if some is None:
            continue
        words = f"{name}: {some['count']} jobs, median {length_words(some['p50'])}"
        title = text(f"{row['guest']} / {task_title(guest, row['number'])}: {name}")
        found += (
            f'<div class="chart"><h3>{title}</h3><p>{some["count"]} jobs, '
            f"{length_words(some['min'])} to {length_words(some['max'])}; count is logarithmic</p>"
            f"{histogram(measured[name], due, text(words), tint)}</div>"
        )
    return found


def delays(found: Row) -> str:
    """A table of who delayed whom: victims and culprits; darker is longer."""
    rows: Sequence[Row] = found["delays"]
    if not rows:
        return ""
    victims = list(dict.fromkeys(row["victim"] for row in rows))
    totals: dict[str, float] = {}
    for row in rows:
        totals[row["culprit"]] = totals.get(row["culprit"], 0.0) + row["seconds"]
    culprits = sorted(totals, key=lambda name: (-totals[name], name))
    cells = {(row["victim"], row["culprit"]): float(row["seconds"]) for row in rows}
    longest = max(cells.values())
    head = "".join(f"<th>{text(name).replace('/', '/<wbr>')}</th>" for name in culprits)
    body = "".join(
        f'<tr><th scope="row">{text(victim)}</th>'
        + "".join(_heat(cells.get((victim, culprit), 0.0), longest) for culprit in culprits)
        + "</tr>"
        for victim in victims
    )
    table = (
        f'<table class="heat"><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>'
    )
    about = (
        "The row wanted to run, but the column ran instead. A virtual CPU waits while it is "
        "runnable, a task (guest / task) while it has a job. Xen: nobody ran, because Xen was "
        "still deciding. Milliseconds over the whole trace."
    )
    return section("Who delayed whom", about, _scroll(table, "Who delayed whom"))


def _heat(seconds: float, longest: float) -> str:
    if seconds <= 0:
        return '<td class="h0">·</td>'
    share = (seconds / longest) ** 0.5
    return f'<td class="h{min(4, 1 + int(share * 4))}">{_ms(seconds)}</td>'


def cpus(found: Row, timeline: Timeline) -> str:
    """Two tables: who ran on each PCPU, and what each vCPU did."""
    if not found["vcpus"]:
        return ""
    names = {row["name"]: colour(timeline, row["domain"]) for row in found["vcpus"]}
    pcpus = "".join(_pcpu(row, names) for row in found["pcpus"])
    vcpus = "".join(_vcpu(row, timeline) for row in found["vcpus"])
    about = (
        "Shares of the traced time. A virtual CPU is runnable while it wants to run and does not. "
        "It is offline while it is paused or does not exist yet, or where records were lost."
    )
    first = _scroll(
        "<table><thead><tr><th>CPU</th><th></th><th class='left'>who ran</th><th>switches</th>"
        f"</tr></thead><tbody>{pcpus}</tbody></table>",
        "CPUs",
    )
    second = _scroll(
        "<table><thead><tr><th>Virtual CPU</th><th></th><th>running</th><th>runnable</th>"
        "<th>blocked</th><th>offline</th><th>longest wait</th><th>wake-ups</th></tr></thead>"
        f"<tbody>{vcpus}</tbody></table>",
        "Virtual CPUs",
    )
    return section("CPUs", about, first + second)


def _pcpu(row: Row, names: Mapping[str, str]) -> str:
    busy = [who for who in row["who"] if who["name"] in names]
    parts = [(names[who["name"]], float(who["share"])) for who in busy]
    words = ", ".join(f"{text(who['name'])} {who['share']:.1%}" for who in row["who"])
    return (
        f'<tr><th scope="row">CPU {row["pcpu"]}</th><td class="wide-cell">{stack(parts, 1.0)}</td>'
        f'<td class="left">{words}</td><td>{row["switches"]}</td></tr>'
    )


def _vcpu(row: Row, timeline: Timeline) -> str:
    own = colour(timeline, row["domain"])
    parts = [(own, float(row["running"]["share"])), ("wait", float(row["runnable"]["share"]))]
    longest = (row["runnable"]["each"] or {}).get("max")
    shares = "".join(f"<td>{share:.1%}</td>" for share in vcpu_shares(row))
    return (
        f'<tr><th scope="row">{text(row["name"])}</th>'
        f'<td class="wide-cell">{stack(parts, 1.0)}</td>{shares}'
        f"<td>{_ms(longest)} ms</td><td>{row['wakes']}</td></tr>"
    )


def vcpu_shares(row: Row) -> list[float]:
    """The shares of a vCPU's time: running, runnable, blocked, and offline or unknown."""
    states = ("running", "runnable", "blocked", "offline", "unknown")
    *known, offline, unknown = (float(row[state]["share"]) for state in states)
    return [*known, offline + unknown]


def console(lines: Sequence[ConsoleLine]) -> str:
    """The lines of all consoles in order of time, with filters."""
    if not lines:
        return ""
    left_out = max(0, len(lines) - MAX_LINES)
    half = MAX_LINES // 2
    shown = [*lines[:half], *lines[-half:]] if left_out else list(lines)
    names = list(dict.fromkeys(line.console for line in shown))
    buttons = '<button type="button" data-on="" aria-pressed="true">all</button>' + "".join(
        f'<button type="button" data-on="{text(name)}" aria-pressed="false">{text(name)}</button>'
        for name in names
    )
    body = "".join(map(_line, shown))
    about = "Seconds since Xen’s start. Click a time within the trace to show it in the timeline."
    if left_out:
        about += f" {left_out} lines in the middle are left out; the run’s folder has all."
    log = f'<div class="console" tabindex="0" role="log">{body}</div>'
    return section("Consoles", about, f'<div class="tools">{buttons}</div>{log}')


def _line(line: ConsoleLine) -> str:
    when = '<span class="at">—</span>'
    if line.time is not None:
        when = (
            f'<button type="button" class="at" data-time="{line.time:.6f}">{line.time:.6f}</button>'
        )
    return (
        f'<div data-from="{text(line.console)}">{when}<span class="on">{text(line.console)}</span>'
        f'<span class="text">{text(line.text)}</span></div>'
    )


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """A list of names and values. The values are HTML already."""
    return (
        "<dl>" + "".join(f"<dt>{text(name)}</dt><dd>{value}</dd>" for name, value in rows) + "</dl>"
    )


def _scroll(table: str, name: str) -> str:
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{text(name)}">{table}</div>'


def _ms(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds * 1e3:.{3 if seconds < 1 else 1}f}"
