"""Steps, expectations and limits in words: for reports, errors and progress."""

from __future__ import annotations

from lab.model import Act, Expectation, Never, Step, Threshold
from lab.util.terminal import quote


def text_of(text: str, *, regex: bool) -> str:
    """A text or a pattern inside a sentence."""
    return f"a match of {quote(text)}" if regex else quote(text)


def step_name(step: Step) -> str:
    """A step in a few words: ``wait for 'x' on hello``."""
    if step.do is Act.WAIT:
        return f"wait for {text_of(step.text, regex=step.regex)} on {step.on}"
    if step.do is Act.TYPE:
        return f"type {quote(step.text)} on {step.on}"
    if step.do is Act.EXEC:
        return f"exec {quote(step.text)}"
    if step.do is Act.SILENT:
        return f"silent {step.on} for {step.within:g}s"
    if step.do is Act.COLLECT:
        return f"collect {quote(step.text)} as {step.name}"
    return f"{step.do} {step.on}".strip()


def never_name(item: Never) -> str:
    """``never 'x' on hello``."""
    where = f"on {item.on}" if item.on else "on any console"
    return f"never {text_of(item.text, regex=item.regex)} {where}"


def threshold_name(item: Threshold) -> str:
    """``p99 release jitter of control < 200us``."""
    figure = item.figure.replace("_", " ")
    what = f"{item.statistic} {figure}".strip()
    task = f"{item.guest}/{item.task}" if item.guest else item.task
    sign = "<" if item.statistic else "at most"
    return f"{what} of {task} {sign} {figure_text(item, item.limit)}"


def figure_text(item: Threshold, value: float) -> str:
    """A time in its unit, or a count."""
    if not item.statistic:
        return f"{value:g}"
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value * 1e6:g}us"


def not_seen(item: Expectation | Step) -> str:
    """``'hello' was not seen on the console of hello within 10s``, for a line or a pattern."""
    what = text_of(item.text, regex=item.regex)
    return f"{what} was not seen on the console of {item.on} within {item.within:g}s"
