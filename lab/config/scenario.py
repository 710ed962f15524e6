"""Reads the scenario of a lab in labs.yaml: expectations, steps, forbidden lines, thresholds."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Iterable, Mapping, Sequence

from lab import model
from lab.config import limits, schema, units
from lab.config.yaml_source import Loc, Source
from lab.model import Act
from lab.util import noshell, patterns
from lab.util.suggest import nearest
from lab.util.terminal import quote

#: Each action of a step → the keys that may go with it. ``regex`` alone is also a wait.
ACTIONS: dict[str, tuple[str, ...]] = {
    "wait": ("on", "within"),
    "regex": ("on", "within"),
    "type": ("on", "enter"),
    "exec": ("output", "regex", "status", "within"),
    "inject": (),
    "destroy": (),
    "pause": (),
    "unpause": (),
    "restart": (),
    "collect": ("as",),
    "silent": ("for",),
    "parallel": (),
}
#: Default seconds for a wait, for a command, and for a silence.
WITHIN, SILENCE = 30.0, 1.0


def read(
    source: Source,
    at: Loc,
    shape: schema.Lab,
    lab: model.Lab,
    guests: Mapping[str, model.GuestSpec],
) -> model.Lab:
    """The lab with its scenario and the guests that its steps inject."""
    injected = list(dict.fromkeys(_injected(shape.steps)))
    later = tuple(guests[name] for name in injected if name in guests and name not in shape.guests)
    reader = _Reader(source, [*shape.guests, *injected], guests)
    lab = dataclasses.replace(lab, later=later)
    return dataclasses.replace(
        lab,
        expect=tuple(
            reader.expectation((*at, "expect", i), item) for i, item in enumerate(shape.expect)
        ),
        steps=tuple(reader.step((*at, "steps", i), item) for i, item in enumerate(shape.steps)),
        never=tuple(reader.never((*at, "never", i), item) for i, item in enumerate(shape.never)),
        thresholds=tuple(
            limit
            for i, item in enumerate(shape.thresholds)
            for limit in limits.read(source, (*at, "thresholds", i), item, lab)
        ),
    )


def _injected(steps: Sequence[schema.Step]) -> Iterable[str]:
    for step in steps:
        if step.inject:
            yield step.inject
        yield from _injected(step.parallel or [])


class _Reader:
    """Reads entries that name consoles and guests of one lab."""

    def __init__(
        self, source: Source, mine: Sequence[str], known: Mapping[str, model.GuestSpec]
    ) -> None:
        self._source = source
        self._guests = list(dict.fromkeys(mine))
        self._known = known

    def expectation(self, at: Loc, shape: schema.Expect) -> model.Expectation:
        self._console((*at, "on"), shape.on)
        text, regex = self._pattern(at, shape, "an expectation")
        line = self._source.line(at)
        return model.Expectation(shape.on, text, regex, shape.within, line)

    def never(self, at: Loc, shape: schema.Never) -> model.Never:
        if shape.on is not None:
            self._console((*at, "on"), shape.on)
        text, regex = self._pattern(at, shape, "an entry of 'never'")
        return model.Never(text, shape.on or "", regex, self._source.line(at))

    def step(self, at: Loc, shape: schema.Step, *, inside: bool = False) -> model.Step:
        given = {
            name.rstrip("_"): value for name, value in dict(shape).items() if value is not None
        }
        action = self._action(at, given)
        if action is None:
            return model.Step(Act.WAIT)
        for key in given:
            if key != action and key not in ACTIONS[action]:
                what = f"it does not go with '{action}'{_where(key)}"
                self._source.add((*at, key), f"'{key}' is not allowed here: {what}", key=True)
        if action == "parallel":
            return self._group(at, shape, inside=inside)
        found = self._plain(at, action, given)
        return dataclasses.replace(found, line=self._source.line(at))

    def _action(self, at: Loc, given: Mapping[str, object]) -> str | None:
        found = [key for key in ACTIONS if key in given]
        if len(found) > 1 and "regex" in found:
            found.remove("regex")  # it belongs to an exec, or is an error
        if len(found) == 1:
            return found[0]
        known = ", ".join(key for key in ACTIONS)
        words = f"not {' and '.join(found)}" if found else f"one of {known}"
        self._source.add(at, f"a step has exactly one action: {words}")
        return None

    def _group(self, at: Loc, shape: schema.Step, *, inside: bool) -> model.Step:
        members = shape.parallel or []
        if inside:
            self._source.add((*at, "parallel"), "a group cannot be in a group", key=True)
            return model.Step(Act.PARALLEL)
        if not members:
            self._source.add((*at, "parallel"), "a group needs at least one step")
        steps = tuple(
            self.step((*at, "parallel", i), item, inside=True) for i, item in enumerate(members)
        )
        return model.Step(Act.PARALLEL, members=steps, line=self._source.line(at))

    def _plain(self, at: Loc, action: str, given: Mapping[str, object]) -> model.Step:
        value = str(given[action])
        within = float(str(given.get("within", WITHIN)))
        if action in ("wait", "regex"):
            self._on(at, given, "the console to watch", self._consoles)
            if action == "regex":
                check_regex(self._source, (*at, "regex"), value)
            on = str(given.get("on", ""))
            return model.Step(Act.WAIT, on, value, action == "regex", within=within)
        if action == "type":
            self._on(at, given, "the console to type on", self._consoles)
            enter = given.get("enter") is not False
            return model.Step(Act.TYPE, str(given.get("on", "")), value, enter=enter)
        if action == "exec":
            return self._exec(at, value, given, within)
        if action == "silent":
            self._console((*at, "silent"), value)
            return model.Step(Act.SILENT, value, within=float(str(given.get("for", SILENCE))))
        if action == "collect":
            return self._collect(at, value, given)
        if action == "inject":
            self._among((*at, action), "guest", value, self._known)
        else:
            self._among((*at, action), "guest of this lab", value, self._guests)
        return model.Step(Act(action), value)

    def _exec(self, at: Loc, line: str, given: Mapping[str, object], within: float) -> model.Step:
        try:
            if not noshell.split(line):
                self._source.add((*at, "exec"), "the command is empty")
        except ValueError as error:
            self._source.add((*at, "exec"), str(error))
        if "output" in given and "regex" in given:
            self._source.add((*at, "regex"), "give either 'output' or 'regex', not both", key=True)
        regex = "regex" in given
        output = str(given.get("regex") or given.get("output") or "")
        if regex:
            check_regex(self._source, (*at, "regex"), output)
        status = int(str(given.get("status", 0)))
        return model.Step(
            Act.EXEC, text=line, regex=regex, output=output, status=status, within=within
        )  # fmt: skip

    def _collect(self, at: Loc, path: str, given: Mapping[str, object]) -> model.Step:
        if not path.startswith("/"):
            self._source.add(
                (*at, "collect"), f"{quote(path)} is not a full path in dom0; it must begin with /"
            )
        name = str(given.get("as") or posixpath.basename(path))
        if "as" not in given:
            try:
                units.file_name(name)
            except ValueError as error:
                self._source.add((*at, "collect"), f"{error}; choose one with 'as'")
        return model.Step(Act.COLLECT, text=path, name=name)

    def _pattern(self, at: Loc, shape: schema.Expect | schema.Never, what: str) -> tuple[str, bool]:
        if (shape.line is None) == (shape.regex is None):
            self._source.add(at, f"{what} needs either 'line' or 'regex'")
        if shape.regex is not None:
            check_regex(self._source, (*at, "regex"), shape.regex)
            return shape.regex, True
        return shape.line or "", False

    @property
    def _consoles(self) -> list[str]:
        known = [self._known[name] for name in self._guests if name in self._known]
        uarts = [console for guest in known for console in guest.consoles[1:]]
        return ["xen", "dom0", *self._guests, *uarts]

    def _console(self, at: Loc, name: str) -> None:
        self._among(at, "console of this lab", name, self._consoles)

    def _on(self, at: Loc, given: Mapping[str, object], what: str, known: Iterable[str]) -> None:
        if "on" not in given:
            self._source.add(at, f"'on' is missing: {what}")
        else:
            self._among((*at, "on"), "console of this lab", str(given["on"]), known)

    def _among(self, at: Loc, what: str, name: str, known: Iterable[str]) -> None:
        if name not in known:
            self._source.add(at, f"no {what} {quote(name)}{nearest(name, known)}")


def check_regex(source: Source, at: Loc, pattern: str) -> None:
    try:
        patterns.pattern(pattern, regex=True)
    except ValueError as error:
        source.add(at, f"{quote(pattern)} is not a regular expression: {error}")


def _where(key: str) -> str:
    """The actions that a key can go with."""
    found = [f"'{action}'" for action, keys in ACTIONS.items() if key in keys]
    return f", but with {' or '.join(found)}" if found else ""
