"""Matrices: read from labs.yaml, shown as a table and as a picture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from lab import config
from lab.api import Context, matrices
from lab.cli.results import show_compared
from lab.errors import ConfigError, GuestError, UsageError
from lab.explore import matrix, picture
from lab.model import ARM64
from lab.progress import Progress

LABS = """\
labs:
  a: {}
  b: {}
matrices:
  m:
    columns: [quiet, loud]
    rows:
      one CPU, shared: [a, b]
"""


def labs(folder: Path, text: str = LABS) -> Any:
    (folder / "labs.yaml").write_text(text)
    return config.load(folder / "labs.yaml")


def test_a_matrix_is_read(tmp_path: Path) -> None:
    found = config.find_matrix(labs(tmp_path), "m")
    assert found.columns == ("quiet", "loud")
    assert found.rows == {"one CPU, shared": ("a", "b")}
    with pytest.raises(UsageError, match="did you mean 'm'"):
        config.find_matrix(labs(tmp_path), "M")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[a, b]", "[a]", "1 labs, but 2 columns"),
        ("[a, b]", "[a, bb]", "no lab 'bb'; did you mean 'b'"),
        ("[quiet, loud]", "[quiet, quiet]", "in the list twice"),
        ("    columns: [quiet, loud]\n", "", "'columns' is missing"),
        ("    columns", "    arch: [arm32, arm65]\n    columns", "6:19: unknown value 'arm65'"),
        ("    columns", "    arch: [arm64, arm64]\n    columns", "in the list twice"),
        ("  b: {}\n", "  b: {gic: 3, arch: arm64}\n", "has no interrupt controller of version 3"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        labs(
            tmp_path,
            LABS.replace(old, new).replace("  m:\n", "  m:\n    arch: arm32\n", "gic" in new),
        )


def test_a_matrix_crosses_architectures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each lab runs on each of them, side by side; the option wins over labs.yaml."""
    labs(tmp_path, LABS.replace("    columns", "    arch: [arm32, arm64]\n    columns"))
    ran: list[tuple[str, str]] = []

    def run(context: Context, lab: str, **_: object) -> None:
        ran.append((lab, context.arch.xen if context.arch else ""))
        raise GuestError("it failed")

    monkeypatch.setattr("lab.api.matrices.run", run)
    context = Context(tmp_path / "labs.yaml")
    outcome = matrices.compare(context, "m").outcome
    assert sorted(ran) == [("a", "arm32"), ("a", "arm64"), ("b", "arm32"), ("b", "arm64")]
    assert outcome.columns == ("quiet, arm32", "quiet, arm64", "loud, arm32", "loud, arm64")
    assert [cell.arch for cell in outcome.cells] == ["arm32", "arm64"] * 2
    one = matrices.compare(context, "m", archs=[ARM64]).outcome
    assert one.columns == ("quiet, arm64", "loud, arm64")
    labs(tmp_path)
    assert matrices.compare(context, "m").outcome.columns == ("quiet", "loud")
    assert sorted(ran[-2:]) == [("a", ""), ("b", "")]


def figures(late: float, misses: int) -> dict[str, Any]:
    times = {"count": 10, "min": 0.0, "mean": late, "p50": late, "p99": late * 2, "max": late * 3}
    return {
        "tasks": [
            {"task": "slow", "priority": 1, "jobs": 5, "misses": 0, "jitter": times,
             "response": times},
            {"task": "fast", "priority": 2, "jobs": 10, "misses": misses, "jitter": times,
             "response": times},
        ]
    }  # fmt: skip


@pytest.fixture
def outcome() -> matrix.MatrixResult:
    cells = (
        matrix.Cell("one", "quiet", "a", "r", tasks=matrix.tasks_of(figures(5e-6, 0))),
        matrix.Cell("one", "loud", "b", "r", tasks=matrix.tasks_of(figures(2e-3, 4))),
        matrix.Cell("two", "quiet", "c", "", "it did not boot"),
    )
    return matrix.MatrixResult("m", "what is seen", "virtual", ("quiet", "loud"), cells)


def test_the_table(outcome: matrix.MatrixResult) -> None:
    """The most urgent task comes first; a cell without figures says why."""
    header, rows = matrix.rows(outcome)
    assert outcome.tasks == ("fast", "slow")
    assert all(len(row) == len(header) for row in rows)
    assert rows[1][2:6] == ["2.00 ms", "4.00 ms", "6.00 ms", "4 of 10"]
    assert rows[2][2] == "it did not boot"
    assert not outcome.complete
    assert "| one | loud | 2.00 ms" in matrix.markdown(outcome)


def test_the_table_in_short(outcome: matrix.MatrixResult) -> None:
    header, rows = matrix.brief(outcome)
    assert header == ["configuration", "", "fast p99", "missed", "slow p99", "missed"]
    assert rows[0] == ["one", "quiet", "10.0 us", "0 of 10", "10.0 us", "0 of 5"]
    assert rows[2] == ["two", "quiet", "it did not boot"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0.0 us"),
        (9.994e-4, "999.4 us"),
        (1e-3, "1.00 ms"),
        (0.25, "250.00 ms"),
        (3, "3.00 s"),
    ],
)
def test_times_have_units(seconds: float, words: str) -> None:
    assert matrix.show(seconds) == words


def test_the_picture_is_the_same_twice(outcome: matrix.MatrixResult, tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture.draw(outcome, tmp_path / f"{name}.svg", tmp_path / f"{name}.png")
    for kind in ("svg", "png"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    text = (tmp_path / "a.svg").read_text()
    assert "task fast: deadlines missed" in text
    assert "http://www.w3.org/2000/svg" in text
    assert text.count("no figures") == 4, "the cell that did not boot, in each panel"


def test_without_matplotlib_there_is_the_table(
    outcome: matrix.MatrixResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """It is said before the labs run, with what to install. A picture alone is an error."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("lab.api.beside.run_all", lambda *_: outcome.cells)
    labs(tmp_path)
    context = Context(tmp_path / "labs.yaml", progress=Progress())
    done = matrices.compare(context, "m")
    said = capsys.readouterr().err
    assert "only the table: a picture needs the Python package matplotlib" in said
    assert "pip install 'xenlab[plots]'" in said
    assert {path.name for path in done.folder.iterdir()} == {"outcome.json", "table.md"}
    show_compared(done)
    assert "picture" not in capsys.readouterr().err
    with pytest.raises(UsageError, match="which is not installed"):
        picture.draw(outcome, tmp_path / "a.svg", tmp_path / "a.png")
    assert not (tmp_path / "a.svg").exists()


def test_any_outcome_has_a_picture(tmp_path: Path) -> None:
    """Many columns, none with figures; no column has the colour of late jobs."""
    names = tuple(f"column {n}" for n in range(9))
    cells = tuple(matrix.Cell("row", name, "a", "", "it did not boot") for name in names)
    none = matrix.MatrixResult("m", "nothing", "host", names, cells)
    picture.draw(none, tmp_path / "a.svg", tmp_path / "a.png")
    assert "no figures" in (tmp_path / "a.svg").read_text()
    assert picture.LATE not in picture.COLOURS
