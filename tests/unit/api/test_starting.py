"""What is wrong is said before anything is built or booted."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_files import zimage

from lab import api
from lab.errors import UsageError


def test_a_report_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not after minutes; and an earlier one that is in the way goes at once."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    file = tmp_path / "labs.yaml"
    (tmp_path / "k.bin").write_bytes(zimage())
    file.write_text("guests: {g: {kernel: k.bin}}\nlabs: {hello: {guests: [g]}}\n")
    for wrong in (tmp_path, file / "results.xml"):
        with pytest.raises(UsageError, match="cannot be written"):
            api.run(api.Context(file), "hello", junit=wrong)
    assert not (tmp_path / "runs").exists()
