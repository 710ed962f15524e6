"""Digests of runs: what they cover, and the first difference of two runs; fingerprints."""

from __future__ import annotations

from pathlib import Path

from lab.run import digest, fingerprint
from lab.rundir import RunDir


def made(path: Path, hello: str = "one\ntwo\n") -> RunDir:
    run = RunDir(path)
    for folder in (run.console_dir, run.trace_dir):
        folder.mkdir(parents=True)
    run.console("hello").write_text(hello)
    run.console("xen").write_text("(XEN) up\n")
    run.times_file.write_text("# frequency 1\nhello 0 5\n")
    (run.trace_dir / "hello.records").write_bytes(bytes(range(32)))
    digest.write_scenario(run, [{"what": "decided", "after": 1.5}])
    return run


def test_the_same_run_has_the_same_digest(tmp_path: Path) -> None:
    """The digest covers no host times, and no other files."""
    one, other = made(tmp_path / "1"), made(tmp_path / "2")
    other.event("mark", what="host")
    other.update_manifest(ended=5)
    assert digest.of(digest.parts(one)) == digest.of(digest.parts(other))
    assert digest.difference(one, other) is None


def test_every_part_counts(tmp_path: Path) -> None:
    reference = digest.of(digest.parts(made(tmp_path / "reference")))
    for number, name in enumerate(digest.parts(RunDir(tmp_path / "reference"))):
        run = made(tmp_path / str(number))
        path = run.path / name
        path.write_bytes(path.read_bytes() + b"x")
        assert digest.of(digest.parts(run)) != reference, name


def test_the_first_line_that_differs_is_named(tmp_path: Path) -> None:
    found = digest.difference(made(tmp_path / "1"), made(tmp_path / "2", "one\nthree\x1b[2J\n"))
    assert found is not None
    assert (found.file, found.line) == ("console/hello.log", 2)
    assert found.one == "two"
    assert "\x1b" not in str(found), "it is shown on a terminal"


def test_a_trace_that_differs_is_shown_in_rows(tmp_path: Path) -> None:
    one, other = made(tmp_path / "1"), made(tmp_path / "2")
    (other.trace_dir / "hello.records").write_bytes(bytes(range(31)) + b"\xff")
    found = digest.difference(one, other)
    assert found is not None
    assert (found.file, found.line) == ("trace/hello.records", 2)
    assert found.other.endswith("1e ff")


def test_fingerprints_say_which_part_differs() -> None:
    one = {"toolchain": "a", "labs.yaml": "b"}
    assert fingerprint.difference(one, dict(one)) == []
    assert fingerprint.difference(one, {"toolchain": "a", "labs.yaml": "c", "guest x": "d"}) == [
        "labs.yaml",
        "guest x",
    ]
    assert fingerprint.key(one) != fingerprint.key({"toolchain": "a", "labs.yaml": "c"})


def test_a_reference_keeps_what_people_can_read(tmp_path: Path) -> None:
    """A reference has no traces, so they are no difference."""
    one, other = made(tmp_path / "1"), made(tmp_path / "2", "one\nthree\n")
    digest.keep(one, tmp_path / "kept")
    digest.keep(one, tmp_path / "kept")
    reference = RunDir(tmp_path / "kept")
    assert set(digest.parts(reference)) == {
        "console/hello.log", "console/xen.log", "console/times", digest.SCENARIO,
    }  # fmt: skip
    assert digest.difference_from(reference, one) is None
    found = digest.difference_from(reference, other)
    assert found is not None
    assert (found.one, found.other) == ("two", "three")
