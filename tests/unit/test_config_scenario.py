"""Scenarios in labs.yaml: what is read, what is refused, and at which place."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_files import zimage

from lab import config, plan
from lab.errors import ConfigError, UsageError
from lab.model import Act, Clock, Lab, Never, Step
from lab.run import hands
from lab.run.fingerprint import _wanted

HEAD = """\
guests:
  g: {kernel: g.bin}
  h: {kernel: g.bin, may_crash: true}
  t: {freertos: app, trace: true}
labs:
  one:
    guests: [g, t]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "g.bin").write_bytes(zimage())
    (tmp_path / "app").mkdir()
    return tmp_path


def load(folder: Path, text: str) -> Lab:
    file = folder / "labs.yaml"
    file.write_text(HEAD + text)
    return config.load(file).labs["one"]


def refused(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return caught.value.message.replace(f"{folder}/", "")


STEPS = """\
    may_crash: true
    steps:
      - {wait: "up: {x}", on: g, within: 2m}
      - {regex: 'tick \\d+', on: xen}
      - {type: "", on: g, enter: true}
      - {type: hi, on: dom0, enter: false}
      - {exec: "xl list 'a b'"}
      - {exec: "cat x", regex: '^y', status: 3, within: 5s}
      - {exec: "cat x", output: z}
      - {inject: h}
      - {destroy: h}
      - {pause: g}
      - {unpause: g}
      - {restart: g}
      - {collect: /var/log/x.log}
      - {collect: /a b, as: c}
      - {silent: h, for: 500ms}
      - parallel:
          - {wait: a, on: g}
          - {silent: t}
    never:
      - {line: oops}
      - {regex: 'bad+', on: h}
"""


def test_every_step_arrives_in_the_model(folder: Path) -> None:
    lab = load(folder, STEPS)
    assert lab.steps == (
        Step(Act.WAIT, "g", "up: {x}", within=120.0),
        Step(Act.WAIT, "xen", r"tick \d+", regex=True),
        Step(Act.TYPE, "g", ""),
        Step(Act.TYPE, "dom0", "hi", enter=False),
        Step(Act.EXEC, text="xl list 'a b'"),
        Step(Act.EXEC, text="cat x", output="^y", regex=True, status=3, within=5.0),
        Step(Act.EXEC, text="cat x", output="z"),
        *(Step(act, on) for act, on in [
            (Act.INJECT, "h"), (Act.DESTROY, "h"), (Act.PAUSE, "g"), (Act.UNPAUSE, "g"),
            (Act.RESTART, "g"),
        ]),
        Step(Act.COLLECT, text="/var/log/x.log", name="x.log"),
        Step(Act.COLLECT, text="/a b", name="c"),
        Step(Act.SILENT, "h", within=0.5),
        Step(Act.PARALLEL, members=(Step(Act.WAIT, "g", "a"), Step(Act.SILENT, "t", within=1.0))),
    )  # fmt: skip
    assert [step.line for step in lab.steps] == list(range(10, 26))
    assert [step.line for step in lab.steps[-1].members] == [26, 27]
    assert lab.never == (Never("oops"), Never("bad+", "h", regex=True))
    assert lab.may_crash
    assert [(guest.name, guest.may_crash) for guest in lab.later] == [("h", True)]


def test_a_guest_that_is_injected_has_a_console_from_the_start(folder: Path) -> None:
    """So no port has to be added to a machine whose runs must be the same."""
    found = plan.plan(load(folder, STEPS))
    assert [guest.name for guest in found.guests] == ["g", "t"]
    assert [guest.name for guest in found.all_guests] == ["g", "t", "h"]
    assert found.consoles[-1] == "h"


def test_thresholds_as_mappings_and_as_sentences(folder: Path) -> None:
    lab = load(
        folder,
        """\
    thresholds:
      - {task: fast, guest: t, figure: response_time, p99: 200us, max: 1ms}
      - p99 release jitter of fast < 200us
      - max wakeup latency of t/fast < 2ms
      - {task: fast, misses: 0}
      - misses of fast < 1
""",
    )
    found = [
        (limit.statistic, limit.figure, limit.guest, round(limit.limit * 1e6))
        for limit in lab.thresholds
    ]
    assert found == [
        ("p99", "response_time", "t", 200),
        ("max", "response_time", "t", 1000),
        ("p99", "release_jitter", "", 200),
        ("max", "wakeup_latency", "t", 2000),
        ("", "misses", "", 0),
        ("", "misses", "", 0),
    ]
    assert {limit.task for limit in lab.thresholds} == {"fast"}
    assert [limit.line for limit in lab.thresholds] == [9, 9, 10, 11, 12, 13]


WRONG = {
    "two things": ("{pause: g, unpause: g}", "9:9: a step has exactly one action: not pause and"),
    "nothing": ("{on: g}", "9:9: a step has exactly one action: one of wait, regex, type, exec"),
    "unknown key": ("{wiat: x, on: g}", "9:10: unknown key 'wiat'; did you mean 'wait'?"),
    "in a group": (
        "{parallel: [{wiat: x, on: g}]}",
        "9:22: unknown key 'wiat'; did you mean 'wait'?",
    ),
    "group in a group": (
        "{parallel: [{parallel: [{pause: g}]}]}",
        "9:22: a group cannot be in a group",
    ),
    "empty group": ("{parallel: []}", "9:20: a group needs at least one step"),
    "no console": ("{wait: x}", "9:9: 'on' is missing: the console"),
    "unknown console": ("{wait: x, on: gg}", "9:23: no console of this lab 'gg'; did you mean"),
    "console of another": ("{silent: h}", "9:18: no console of this lab 'h'"),
    "unknown guest": ("{inject: gg}", "9:18: no guest 'gg'; did you mean 'g'?"),
    "not of this lab": ("{destroy: h}", "9:19: no guest of this lab 'h'"),
    "bad regex": ("{regex: '(', on: g}", "9:17: '(' is not a regular expression"),
    "bad command": ('{exec: "a \'b"}', "9:16: 'a 'b': no closing quotation"),
    "empty command": ('{exec: " "}', "9:16: the command is empty"),
    "two outputs": ("{exec: a, output: b, regex: c}", "9:30: give either 'output' or 'regex'"),
    "status of a wait": (
        "{wait: a, on: g, status: 0}",
        "9:26: 'status' is not allowed here: it does not go with 'wait', but with 'exec'",
    ),
    "bad status": ("{exec: a, status: 256}", "9:27: 'status': '256' is not a number from 0 to"),
    "relative": ("{collect: x}", "9:19: 'x' is not a full path in dom0"),
    "outside": ("{collect: /x, as: ../y}", "9:27: 'as': '../y' is not a usable file name"),
    "hidden": ("{collect: /x, as: .y}", "9:27: 'as': '.y' is not a usable file name"),
    "no name": ("{collect: /x/}", "choose one with 'as'"),
    "number as time": ("{silent: g, for: 3}", "9:26: 'for': '3' is not a time; write 3s"),
}


@pytest.mark.parametrize(("step", "words"), WRONG.values(), ids=WRONG)
def test_wrong_steps(folder: Path, step: str, words: str) -> None:
    """Each at its line and column, with the nearest right word."""
    assert words in refused(folder, f"    steps:\n      - {step}\n")


WRONG_LIMITS = {
    "no limit": ("{task: a}", "9:9: a threshold needs a limit: one of min, mean"),
    "no figure": ("{task: a, p99: 1ms}", "9:9: 'figure' is missing: one of release_jitter"),
    "unknown figure": (
        "{task: a, figure: relese_jitter, p99: 1ms}",
        "9:27: no figure 'relese_jitter'; did you mean 'release_jitter'?",
    ),
    "unknown sentence figure": ("p99 jiter of a < 1ms", "no figure 'jiter'"),
    "no sentence": ("p99 of everything", "9:9: 'p99 of everything' is not a threshold; write"),
    "bare number": ("p99 release jitter of a < 3", "'p99': '3' is not a time"),
    "untraced": ("{task: a, guest: g, misses: 0}", "9:26: this lab has no traced guest 'g'"),
    "unknown count": ("mises of a < 1", "unknown key 'mises'; did you mean 'misses'?"),
}  # fmt: skip


@pytest.mark.parametrize(("limit", "words"), WRONG_LIMITS.values(), ids=WRONG_LIMITS)
def test_wrong_thresholds(folder: Path, limit: str, words: str) -> None:
    assert words in refused(folder, f"    thresholds:\n      - {limit}\n")


def test_thresholds_want_a_trace(folder: Path) -> None:
    text = HEAD.replace(", trace: true", "") + "    thresholds:\n      - misses of a < 1\n"
    (folder / "labs.yaml").write_text(text)
    with pytest.raises(ConfigError, match="no guest of this lab keeps a trace"):
        config.load(folder / "labs.yaml")


def test_never_wants_a_text(folder: Path) -> None:
    assert "9:9: an entry of 'never' needs either" in refused(
        folder, "    never:\n      - {on: g}\n"
    )


def test_no_typing_on_a_serial_line_under_the_virtual_clock(folder: Path) -> None:
    """The error comes before anything is started."""
    lab = load(folder, "    steps:\n      - parallel: [{type: x, on: dom0}]\n")
    hands.refuse(plan.plan(lab, clock=Clock.HOST))
    with pytest.raises(UsageError, match=r"types on dom0 \(labs.yaml:9\)"):
        hands.refuse(plan.plan(lab, clock=Clock.VIRTUAL))


def test_what_a_run_follows_from_has_no_places_in_it(folder: Path) -> None:
    """A comment in labs.yaml does not make another run; another step does."""
    one = load(folder, STEPS)
    other = load(folder, "    # a comment\n" + STEPS)
    assert _wanted(plan.plan(one)) == _wanted(plan.plan(other))
    assert "line" not in str(_wanted(plan.plan(one)))
    third = load(folder, STEPS.replace("tick", "tack"))
    assert _wanted(plan.plan(one)) != _wanted(plan.plan(third))
