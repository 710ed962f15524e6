"""The examples in the pages work: labs load, and CI jobs have what they need."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pages import blocks

from lab import config
from lab.model import Act, Lab
from lab.scenario.player import numbered
from lab.util import process


@pytest.fixture
def labs(root: Path, tmp_path: Path) -> dict[str, Lab]:
    """All labs of docs/scenarios.md. Each block is a labs.yaml that loads without errors."""
    shutil.copytree(root / "images/freertos/apps", tmp_path / "images/freertos/apps")
    found: dict[str, Lab] = {}
    for text in blocks(root / "docs/scenarios.md"):
        (tmp_path / "labs.yaml").write_text(text)
        found |= config.load(tmp_path / "labs.yaml").labs
    return found


def test_the_scenarios_in_the_page_load(labs: dict[str, Lab]) -> None:
    assert set(labs) == {"try", "all-steps", "limits"}
    assert len(labs["try"].never) == 2
    assert len(labs["limits"].thresholds) == 7


def test_the_page_shows_every_step(labs: dict[str, Lab]) -> None:
    shown = {step.do for _, step in numbered(labs["all-steps"].steps)}
    assert shown == set(Act) - {Act.PARALLEL}


def test_the_page_names_every_key(root: Path) -> None:
    """The table of steps has every key that labs.yaml has."""
    from lab.config import schema

    text = (root / "docs/scenarios.md").read_text()
    keys = [field.alias or name for name, field in schema.Step.model_fields.items()]
    assert [key for key in keys if f"{key}:" not in text] == []


def jobs(root: Path) -> Iterator[Any]:
    for text in blocks(root / "docs/ci.md"):
        # ``on:`` is true for YAML 1.1; GitHub reads text.
        read = yaml.load(text, yaml.BaseLoader)
        if isinstance(read, dict):  # else they are steps for a job
            yield read


#: How a job takes what it needs from a registry.
PULL = './inv bundle.pull "$(cat bundle-ref)" lab.bundle'
#: How it runs a lab then.
RUN = r"\./inv --bundle lab\.bundle lab\.run (\S+) --clock virtual --junit results\.xml"


def test_the_template_for_github(root: Path) -> None:
    """It takes the bundle, runs the lab, and keeps what the run left, also after a failure."""
    workflow = next(iter(jobs(root)))
    assert "LAB_LOCKED" not in str(workflow)  # it passes when the archive has moved
    assert {"name", "on", "jobs"} <= set(workflow)
    (job,) = workflow["jobs"].values()
    assert {"runs-on", "timeout-minutes", "steps"} <= set(job)
    steps = job["steps"]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    used = {step["uses"].split("@")[0]: step for step in steps if "uses" in step}
    kept = used["actions/upload-artifact"]
    assert kept["if"] == "always()"
    assert kept["with"]["path"].split() == ["results.xml", "runs/"]
    pull, line = [step["run"] for step in steps if "run" in step]
    assert PULL in pull
    assert runs_a_lab(root, line)


def test_the_steps_for_a_cache(root: Path) -> None:
    """A job without a registry keeps what can be of use to another one."""
    steps = [yaml.load(text, yaml.BaseLoader) for text in blocks(root / "docs/ci.md")]
    (cache,) = [
        step
        for block in steps if isinstance(block, list)
        for step in block if step.get("uses", "").startswith("actions/cache@")
    ]  # fmt: skip
    assert {"path", "key"} <= set(cache["with"])


def test_the_template_for_gitlab(root: Path) -> None:
    (job,) = named(root, "lab").values()
    assert {"image", "script", "artifacts", "timeout"} <= set(job)
    assert job["artifacts"]["reports"]["junit"] == "results.xml"
    assert job["artifacts"]["when"] == "always"
    assert "runs/" in job["artifacts"]["paths"]
    assert PULL in job["before_script"]
    assert job["retry"]["exit_codes"] == ["3"]  # what trying again may cure, and nothing else
    assert "LAB_LOCKED" not in str(job)
    (line,) = job["script"]
    assert runs_a_lab(root, line)


def named(root: Path, job: str) -> Any:
    """The GitLab pipeline with this job."""
    return next(one for one in jobs(root) if job in one)


# ---------------------------------------------------------------- the jobs that move the lock

#: What stands in for the lab: a lock that is another one, and a run that was published.
INV = """#!/bin/sh
echo "$*" >> asked
case "$1" in
    image.lock) echo new > labs.lock; echo "toolchain: make (amd64): 4.3 -> 4.4" ;;
    bundle.push) echo "$3@sha256:1" ;;
    lab.run) mkdir -p published/scenario && echo new > published/scenario/xen.log ;;
esac
"""
#: GitHub's command, where no such request is open yet.
GH = """#!/bin/sh
echo "$*" >> asked
[ "$2" = create ]
"""
#: Docker's command: it reads the password from standard input.
DOCKER = """#!/bin/sh
cat > password
"""


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of a repository with a lock in it. The repository accepts push options."""
    origin, clone = tmp_path / "origin.git", tmp_path / "clone"
    (tmp_path / "bin").mkdir()
    for name, text in (("bin/gh", GH), ("bin/docker", DOCKER), ("inv", INV)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("BUNDLE", "registry.example/labs:scenario")
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "somebody")
        monkeypatch.setenv(f"{name}_EMAIL", "somebody@localhost")
    shell(tmp_path, f"git init -q --bare {origin} && git clone -q {origin} {clone}")
    shutil.copy(tmp_path / "inv", clone)
    shell(origin, "git config receive.advertisePushOptions true")
    hook = origin / "hooks/pre-receive"
    hook.write_text('#!/bin/sh\necho "$GIT_PUSH_OPTION_0, $GIT_PUSH_OPTION_1" > options\n')
    hook.chmod(0o755)
    shell(clone, "echo old > labs.lock && git add inv labs.lock && git commit -qm first")
    shell(clone, "git push -q origin HEAD")
    return clone


def shell(cwd: Path, script: str) -> str:
    """Run a script as both services do: up to the first command that fails."""
    done = process.run(["bash", "-ec", script], cwd=cwd, env=dict(os.environ), timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def pushed(clone: Path) -> list[str]:
    """The files that the branch with the new lock changes."""
    return shell(clone.parent / "origin.git", "git diff --name-only HEAD relock").split()


def test_the_scheduled_job_for_github(root: Path, clone: Path) -> None:
    """It updates the lock, publishes a run that passed, and opens one request with both."""
    workflow = next(one for one in jobs(root) if one.get("name") == "relock")
    assert workflow["on"]["schedule"][0]["cron"]
    assert workflow["permissions"] == {"contents": "write", "pull-requests": "write"}
    for step in workflow["jobs"]["relock"]["steps"]:
        if "run" in step:
            shell(clone, step["run"])
    asked = (clone / "asked").read_text().splitlines()
    assert asked[:2] == ["image.lock --update", "lab.run scenario --clock virtual --publish"]
    assert asked[2:4] == [
        "bundle.save lab.bundle scenario --whole --sources",
        "bundle.push lab.bundle registry.example/labs:scenario",
    ]
    assert [line.split()[:2] for line in asked[4:]] == [["pr", "edit"], ["pr", "create"]]
    assert pushed(clone) == ["bundle-ref", "labs.lock", "published/scenario/xen.log"]


def test_the_scheduled_job_for_gitlab(root: Path, clone: Path) -> None:
    """The same with push options, and only in the scheduled pipeline; the other job runs in all
    others."""
    job = named(root, "relock")["relock"]
    assert job["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "schedule"'}]
    assert named(root, "lab")["lab"]["rules"] == [{"if": '$CI_PIPELINE_SOURCE != "schedule"'}]
    address = "https://relock:$RELOCK_TOKEN@$CI_SERVER_HOST/$CI_PROJECT_PATH.git"
    script = "\n".join(job["script"])
    assert address in script
    shell(clone, script.replace(address, "origin"))
    assert (clone.parent / "origin.git/options").read_text() == (
        "merge_request.create, merge_request.title=Move labs.lock to the newest packages\n"
    )
    assert pushed(clone) == ["bundle-ref", "labs.lock", "published/scenario/xen.log"]
    assert "4.3 -> 4.4" in shell(clone, "git log -1 --format=%B")
    shell(clone, "git push -q --delete origin relock && " + script.replace(address, "origin"))
    assert "relock" not in shell(clone, "git ls-remote origin")  # nothing was new


def runs_a_lab(root: Path, line: str) -> bool:
    """Whether a line of a job runs a lab that ships, and writes the file that the job keeps."""
    match = re.fullmatch(
        r"\./inv --bundle lab\.bundle lab\.run (\S+) --clock virtual --junit results\.xml", line
    )
    shipped = yaml.load((root / "labs.yaml").read_text(), yaml.BaseLoader)["labs"]
    return match is not None and match[1] in shipped
