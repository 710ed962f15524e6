"""What a run says about a commit, and the lab that is built from another tree."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from kernel_files import zimage

from lab import api, config
from lab.api import bisection, tree_variant
from lab.api.bisection import mark_of
from lab.api.results import Run
from lab.api.tree_variant import TreeVariant, objects_of
from lab.config import limits
from lab.errors import GuestError, ImageError, LabError, MachineError, ToolchainError, UsageError
from lab.explore.bisection import Mark
from lab.model import FreeRtosApp, Lab, Layer, Threshold, Verdict
from lab.progress import Progress
from lab.scenario import Report, failed, from_error
from lab.util.git_tree import GitTree

LABS = """
hypervisors:
  mine: {from: source, source: xen}
guests:
  one: {freertos: app, trace: true}
labs:
  mine: {hypervisor: mine, guests: [one]}
"""


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    for name in ("app", "xen"):
        (tmp_path / name).mkdir()
    (tmp_path / "labs.yaml").write_text(LABS)
    return config.find_lab(config.load(tmp_path / "labs.yaml"), "mine")


def run(verdict: Verdict) -> Run:
    return Run(Report("mine", verdict), Path("runs/mine/1"), {})


def unbuilt(error: LabError) -> LabError:
    error.unbuilt = True
    return error


@pytest.mark.parametrize(
    ("verdict", "mark"),
    [
        (Verdict(True), Mark.GOOD),
        (failed(Layer.GUEST, "not seen"), Mark.BAD),
        (failed(Layer.XEN, "panic"), Mark.BAD),
        (failed(Layer.DOM0, "no init"), Mark.BAD),
        (failed(Layer.TOOLSTACK, "xl create"), Mark.BAD),
        (from_error(unbuilt(GuestError("guest one does not build"))), Mark.SKIP),
        (from_error(unbuilt(ImageError("hypervisor mine does not build"))), Mark.SKIP),
    ],
)
def test_what_a_verdict_says_about_the_sources(verdict: Verdict, mark: Mark) -> None:
    assert mark_of(run(verdict)) == (mark, verdict.reason)


@pytest.mark.parametrize("error", [ToolchainError("a"), ImageError("b"), MachineError("c")])
def test_what_says_nothing_about_them(error: LabError) -> None:
    """Neither good nor bad nor to be skipped: the search stops."""
    with pytest.raises(LabError, match=error.message) as caught:
        mark_of(run(from_error(error)))
    assert caught.value.layer is error.layer
    assert caught.value.run == Path("runs/mine/1")


def test_only_what_is_in_the_tree_moves(lab: Lab, tmp_path: Path) -> None:
    moved = TreeVariant(tmp_path / "app", Path("/elsewhere"))(lab)
    (guest,) = moved.guests
    assert isinstance(guest.program, FreeRtosApp)
    assert guest.program.app == Path("/elsewhere")
    assert moved.hypervisor == lab.hypervisor
    assert guest.places == lab.guests[0].places
    both = TreeVariant(tmp_path, Path("/elsewhere"))(lab)
    assert both.hypervisor.source == Path("/elsewhere/xen")
    assert TreeVariant(tmp_path / "other", Path("/elsewhere"))(lab) == lab


def test_a_tree_behind_a_link(lab: Lab, tmp_path: Path) -> None:
    """labs.yaml names a link; git names the folder."""
    (tmp_path / "app").rename(tmp_path / "real")
    (tmp_path / "app").symlink_to("real")
    (guest,) = TreeVariant(tmp_path / "real", Path("/elsewhere"))(lab).guests
    assert isinstance(guest.program, FreeRtosApp)
    assert guest.program.app == Path("/elsewhere")


def test_a_limit_as_a_sentence(lab: Lab) -> None:
    wanted = Threshold("fast", "release_jitter", 0.0005, "p99")
    assert limits.of_sentence("p99 release jitter of fast < 500us", lab) == (wanted,)
    assert limits.of_sentence("misses of one/fast < 3", lab) == (
        Threshold("fast", "misses", 2.0, "", "one"),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fast is slow", "is not a threshold"),
        ("p99 release jitters of fast < 1s", "did you mean 'release_jitter'"),
        ("p99 release jitter of fast < 1", "< 1': '1' is not a time"),
        ("p99 release jitter of two/fast < 1s", "no traced guest 'two'"),
        ("misses of fast < 0", "at least 1"),
        ("blunders of fast < 4", "blunders"),
    ],
)
def test_what_is_no_limit(lab: Lab, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        limits.of_sentence(text, lab)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree of six commits, from which a guest of labs.yaml is taken."""
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "labs.yaml").write_text(
        "guests: {g: {kernel: app/k.bin}}\nlabs: {mine: {guests: [g]}}\n"
    )
    found = tmp_path / "app"
    found.mkdir()
    (found / "k.bin").write_bytes(zimage())
    for words in ("init -q", "add .", *["commit -q --allow-empty -m change"] * 6):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(found), *who, *words.split()], check=True)
    return found


@pytest.mark.parametrize("ended", [0, 1, 2])
def test_an_interrupted_search(tree: Path, monkeypatch: pytest.MonkeyPatch, ended: int) -> None:
    """Its log is named as soon as it has something to say. No work tree stays."""
    verdicts = [Verdict(True), failed(Layer.GUEST, "not seen")][:ended]

    def next_run(*_: object, **__: object) -> Run:
        if not verdicts:
            raise KeyboardInterrupt
        return run(verdicts.pop(0))

    monkeypatch.setattr(bisection, "run", next_run)
    said = io.StringIO()
    context = api.Context(tree.parent / "labs.yaml", progress=Progress(said))
    with pytest.raises(KeyboardInterrupt):
        api.bisect(context, "mine", api.Bisect(tree, "HEAD~5", "HEAD", jobs=1))
    logs = list(context.runs.glob("bisect-mine/2*/bisect.log"))
    assert len(logs) == (ended == 2)
    assert all(f"for git bisect replay: {one}\n" in said.getvalue() for one in logs)
    assert ended == 2 or not context.runs.exists()
    trees = ["git", "-C", str(tree), "worktree", "list"]
    assert subprocess.run(trees, check=True, capture_output=True).stdout.count(b"\n") == 1


def test_what_a_killed_search_left(tree: Path) -> None:
    """It had three work trees; the next search, with one, removes the others."""
    place = tree.parent / "cache" / "bisect" / "abc"
    trees = [place.with_name(f"abc-{number}") for number in range(3)]
    for one in trees:
        argv = ["git", "-C", str(tree), "worktree", "add", "-q", "--detach", str(one)]
        subprocess.run(argv, check=True)
        objects_of(one).mkdir()
    tree_variant.sweep(GitTree.of(tree), trees[:1])
    assert sorted(place.parent.iterdir()) == [trees[0], objects_of(trees[0])]
    assert len(list((tree / ".git" / "worktrees").iterdir())) == 1
