"""What a participant can read and change: their guests' sources and guests, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import config
from lab.errors import ConfigError, UsageError
from lab.web import editing, excerpt, problems
from lab.web.classroom import Seat
from web import seats


@pytest.fixture
def seat(tmp_path: Path) -> Seat:
    return seats.lay(tmp_path)


def guests(seat: Seat) -> str:
    return excerpt.own_of(seat.folder)


def test_the_files_and_the_guests_made_of_them(seat: Seat) -> None:
    found = {file.name: file for file in editing.listed(seat)}
    assert list(found) == ["guests/hello/main.c", "labs.yaml"]
    assert found["guests/hello/main.c"].guests == ("hello", "twin")
    assert found["labs.yaml"].text == guests(seat)
    assert "labs:" not in found["labs.yaml"].text
    assert editing.has_guest(seat, "twin")
    assert not editing.has_guest(seat, "--help")
    assert not editing.has_guest(seat, ["hello"])


def test_a_file_is_saved(seat: Seat) -> None:
    editing.save(seat, "guests/hello/main.c", "int x;\n")
    assert (seat.folder / "guests/hello/main.c").read_text() == "int x;\n"


@pytest.mark.parametrize(
    "name", ["guests/hello/new.c", "teacher.yaml", "../seat/labs.yaml", "/etc/passwd",
             "guests/../labs.yaml", "guests/link", "", "guests"]
)  # fmt: skip
def test_no_other_file_is_written(seat: Seat, name: str) -> None:
    (seat.folder / "guests/link").symlink_to(seat.folder.parent / "base/labs.yaml")
    with pytest.raises(UsageError, match="no file"):
        editing.save(seat, name, "x")
    assert (seat.folder.parent / "base/labs.yaml").read_text() == seats.LABS


def test_a_file_that_is_too_large(seat: Seat) -> None:
    with pytest.raises(UsageError, match="larger"):
        editing.save(seat, "guests/hello/main.c", "x" * (editing.LARGEST + 1))


def test_a_guest_is_changed(seat: Seat) -> None:
    """The lab is still the teacher's, and the lines are those that the participant sees."""
    editing.save(seat, "labs.yaml", guests(seat).replace("16M", "32M"))
    lab = config.find_lab(config.load(seat.labs), seat.name)
    assert [guest.memory >> 20 for guest in lab.guests] == [32, 16, 16]
    assert "32M" in guests(seat)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("guests:\n  hello: {freertos: ../base/apps/hello}", "2:21: 'freertos': '../base"),
        ("guests:\n  hello: {freertos: /etc}", "2:21: 'freertos': '/etc' is not in your folder"),
        ("guests:\n  hello: {freertos: guests}", "'guests' is not in your folder"),
        ("guests:\n  hello: {linux: guests/out}", "'guests/out' is not in your folder"),
        ("guests:\n  hello: {freertos: [a]}", "is not in your folder"),
        ("guests:\n  hello: {kernel: /etc/passwd}", "'kernel': '/etc/passwd'"),
        ("guests:\n  hello: {project: guests/hello, build: make, kernel: ../../k}", "project"),
        ("guests:\n  ready: {kernel: kernel.bin, disk: '/etc/passwd,raw,xvda,r'}", "kernel.bin"),
        ("guests:\n  hello: {freertos: guests/hello, disk: '/etc/passwd,raw,xvda,r'}", "disks"),
        ("guests: &a {x: *a}", "anchors and aliases"),
        ("guests: {hello: {freertos: guests/hello}}\nlabs: {}", "only 'guests'"),
        ("labs: {}", "only 'guests'"),
        ("- x", "only 'guests'"),
        ("", "only 'guests'"),
        ("guests: {", "1:10:"),
        ("guests: " + "[" * 5000, "labs.yaml:"),
        ("guests: {}\n" + excerpt.REST + "\n", "cannot be in it"),
        ("#" * (70 << 10), "larger than"),
        ("guests:\n  hello: {freertos: guests/hello, memory: 1}", "labs.yaml:2:"),
        ("guests:\n  other: {freertos: guests/hello}", "hello"),
        ("guests: [x]", "labs.yaml:1:"),
    ],
)  # fmt: skip
def test_mistakes_leave_labs_yaml_as_it_was(seat: Seat, text: str, words: str) -> None:
    (seat.folder / "guests/out").symlink_to("/etc")
    before = seat.labs.read_text()
    with pytest.raises(ConfigError) as error:
        editing.save(seat, "labs.yaml", text)
    assert words in error.value.message
    assert str(seat.folder) not in error.value.message
    assert seat.labs.read_text() == before


def test_the_lab_s_processors_and_scheduler(tmp_path: Path) -> None:
    """They are shown as they are in labs.yaml; the rest of the lab stays the teacher's."""
    seat = seats.lay(tmp_path, seats.SHARED)
    assert guests(seat).endswith("labs:\n  class:\n    cpus: 1\n    scheduler: credit2\n")
    text = guests(seat).replace("cpus: 1", "cpus: 2").replace("    ", "      ")
    editing.save(seat, "labs.yaml", text)
    lab = config.find_lab(config.load(seat.labs), seat.name)
    assert (lab.cpus, lab.description) == (2, "mine")
    assert guests(seat) == text
    editing.save(seat, "labs.yaml", text.partition("labs:")[0])
    lab = config.find_lab(config.load(seat.labs), seat.name)
    assert (lab.cpus, lab.scheduler, lab.description) == (1, "", "mine")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("labs:\n  class:\n    cpus: 5", "labs.yaml:4:11: a seat has at most 4"),
        (f"labs:\n  class:\n    cpus: {'9' * 5000}", "at most 4"),
        ("labs:\n  class:\n    cpus: 0", "labs.yaml:4:11: "),
        ("labs:\n  class:\n    cpus: 1\n    cpus: 2", "there twice"),
        ("labs:\n  class:\n    dom0: false", "4:5: of the lab only 'cpus' and 'scheduler'"),
        ("labs:\n  class:\n    [cpus]: 1", "of the lab only"),
        ("labs:\n  class: {cpus: 2}", "2:1: only 'class' can be below it, each key on its line"),
        ("labs: {class: {cpus: 2}}", "only 'class' can be below it"),
        ("labs:\n  other:\n    cpus: 2", "only 'class'"),
        ("labs:\n  class:\n    cpus: 2\n  other:\n    cpus: 2", "only 'class'"),
        ("labs:\n  class:", "only 'class'"),
        ("labs:", "only 'class'"),
        ("labs:\n  class:\n    scheduler: rtds", "labs.yaml:"),
        ("hypervisors: {}", "only 'guests', and after it 'labs'"),
    ],
)  # fmt: skip
def test_nothing_else_of_the_lab_is_the_participant_s(
    tmp_path: Path, text: str, words: str
) -> None:
    seat = seats.lay(tmp_path, seats.SHARED)
    before = seat.labs.read_text()
    with pytest.raises(ConfigError) as error:
        editing.save(seat, "labs.yaml", f"guests: {{hello: {{freertos: guests/hello}}}}\n{text}")
    assert words in error.value.message
    assert seat.labs.read_text() == before


def test_what_the_teacher_named_may_stay(seat: Seat) -> None:
    """An absolute path that the seat had from the beginning is no way out."""
    text = guests(seat)
    assert str(seat.folder.parent / "base/kernel.bin") in text
    editing.save(seat, "labs.yaml", text + "  more: {freertos: guests/hello}\n")
    assert editing.has_guest(seat, "more")


SAID = """\
error [guest]: guest hello does not build (exit status 2)
  last lines:
    /build/app/hello/main.c: In function 'greet':
    /build/app/hello/main.c:10:46: error: 'oops' undeclared (first use in this function)
    /build/app/hello/main.c:10:46: note: each undeclared identifier is reported only once
    /build/app/hello/main.c:10:46: error: 'oops' undeclared (first use in this function)
    /build/app/hello/lib/list.h:3: fatal error: no such thing
    /build/freertos/port/trace.h:7:1: warning: not the participant's
"""


def test_the_compiler_s_messages_have_their_places() -> None:
    """Each once, and only those about files of the seat."""
    found = problems.found(SAID, ["guests/hello/main.c", "guests/hello/lib/list.h"])
    assert [(one.file, one.line, one.column, one.kind) for one in found] == [
        ("guests/hello/main.c", 10, 46, "error"),
        ("guests/hello/main.c", 10, 46, "note"),
        ("guests/hello/lib/list.h", 3, 1, "error"),
    ]


def test_messages_about_labs_yaml_have_theirs() -> None:
    (one,) = problems.found("error: /a/b/labs.yaml:3:7: 'memory' is wrong\nrest", [])
    assert (one.file, one.line, one.column, one.text) == ("labs.yaml", 3, 7, "'memory' is wrong")
