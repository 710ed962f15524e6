"""The outcome of an exploration as Markdown, for the page of a CI job."""

from __future__ import annotations

from lab.explore.seeds import Exploration
from lab.scenario.github import plain


def markdown(found: Exploration) -> str:
    """The last line, the failures, and the figures."""
    lines = [f"### {plain(found.last_line)}", ""]
    if found.groups:
        lines += ["| Failure | Seeds | Again |", "|---|---|---|"]
    for group in found.groups:
        first = group.smallest or group.results[0]
        reason = f"{group.layer}: {group.reason}"
        lines.append(f"| {plain(reason)} | {group.some_seeds} | {plain(first.again)} |")
    header, rows = found.figures_table()
    if rows:
        lines += ["", _row(header), "|" + "---|" * len(header), *map(_row, rows)]
    return "\n".join([*lines, "", ""])


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(map(plain, cells)) + " |"
