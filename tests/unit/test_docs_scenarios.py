"""Examples in the pages work: labs load, and the CI jobs have what they need."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import config
from lab.model import Act, Lab
from lab.scenario.player import numbered


def blocks(page: Path) -> list[str]:
    """The fenced blocks of YAML in a page."""
    return re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def labs(root: Path, tmp_path: Path) -> dict[str, Lab]:
    """All labs of docs/scenarios.md, each block a labs.yaml that loads without complaint."""
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
        yield yaml.load(text, yaml.BaseLoader)


def test_the_template_for_github(root: Path) -> None:
    """It runs the lab, caches, and keeps what the run left, also if it failed."""
    workflow = next(iter(jobs(root)))
    assert {"name", "on", "jobs"} <= set(workflow)
    (job,) = workflow["jobs"].values()
    assert {"runs-on", "timeout-minutes", "steps"} <= set(job)
    steps = job["steps"]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    used = {step["uses"].split("@")[0]: step for step in steps if "uses" in step}
    assert {"path", "key"} <= set(used["actions/cache"]["with"])
    kept = used["actions/upload-artifact"]
    assert kept["if"] == "always()"
    assert kept["with"]["path"].split() == ["results.xml", "runs/"]
    (line,) = [step["run"] for step in steps if "run" in step]
    assert runs_a_lab(root, line)


def test_the_template_for_gitlab(root: Path) -> None:
    pipeline = list(jobs(root))[1]
    (job,) = pipeline.values()
    assert {"image", "script", "cache", "artifacts", "timeout"} <= set(job)
    assert job["artifacts"]["reports"]["junit"] == "results.xml"
    assert job["artifacts"]["when"] == "always"
    assert "runs/" in job["artifacts"]["paths"]
    assert all(path.startswith(".lab-cache/") for path in job["cache"]["paths"])
    assert job["retry"]["exit_codes"] == ["3"]
    (line,) = job["script"]
    assert runs_a_lab(root, line)


def runs_a_lab(root: Path, line: str) -> bool:
    """Whether a line of a job runs a lab that ships, and writes the file that the job keeps."""
    match = re.fullmatch(r"\./inv lab\.run (\S+) --clock virtual --junit results\.xml", line)
    shipped = yaml.load((root / "labs.yaml").read_text(), yaml.BaseLoader)["labs"]
    return match is not None and match[1] in shipped
