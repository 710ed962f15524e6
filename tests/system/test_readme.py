"""The example of README.md, typed exactly as shown."""

from __future__ import annotations

import json
from pathlib import Path

from pages import blocks

from system.world import ROOT, World


def test_the_guest_of_the_readme_runs(world: World, tmp_path: Path) -> None:
    """`lab.run try` builds the program shown, starts it, and sees its line."""
    (program,) = blocks(ROOT / "README.md", "c")
    (labs,) = blocks(ROOT / "README.md")
    (tmp_path / "my-app").mkdir()
    (tmp_path / "my-app/main.c").write_text(program)
    (tmp_path / "labs.yaml").write_text(labs)
    said = json.loads(world.run("lab.run", "try", "--json", cwd=tmp_path).out)
    assert said["verdict"] == "pass"
    assert "ready" in Path(said["run"], "console/mine.log").read_text()
