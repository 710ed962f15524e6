"""Promises of docs/security.md that can be checked in the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from lab.packages import apt
from lab.toolchain import bootstrap

#: Calls that start a shell, whatever they are given.
SHELLS = {
    "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput",
    "asyncio.create_subprocess_shell", "pty.spawn", "os.execl", "os.execlp",
}  # fmt: skip
#: Ways to have apt, pip or an HTTP client believe anybody.
GULLIBLE = (
    "trusted=yes", "trusted=true", "allow-unauthenticated", "allowunauthenticated",
    "allowinsecurerepositories", "allow-insecure", "allowdowngradetoinsecure",
    "verify=false", "no-check-certificate", "trusted-host", "check-valid-until=no",
    "_create_unverified_context", "cert_none", "verify-peer \"false",
)  # fmt: skip


def calls(root: Path) -> Iterator[tuple[str, ast.Call]]:
    for path in (root / "lab").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield f"{path.relative_to(root)}:{node.lineno}", node


def test_no_call_starts_a_shell(root: Path) -> None:
    """Only argument lists: no shell of this machine ever parses what a user wrote."""
    wrong = [
        where
        for where, call in calls(root)
        if ast.unparse(call.func) in SHELLS
        or any(word.arg == "shell" and ast.unparse(word.value) != "False" for word in call.keywords)
    ]
    assert wrong == []


def test_scripts_for_a_shell_are_constant(root: Path) -> None:
    """If a program is wrapped in ``sh -c``, the script is ours, and words come as arguments."""
    wrong = []
    for path in (root / "lab").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.List) or len(node.elts) < 3:
                continue
            words = [ast.unparse(one).strip("'\"") for one in node.elts[:2]]
            constant = isinstance(node.elts[2], ast.Constant | ast.Name)
            if words[0].rpartition("/")[2] in ("sh", "bash") and words[1] == "-c" and not constant:
                wrong.append(f"{path.relative_to(root)}:{node.lineno}")
    assert wrong == []


def test_nobody_is_believed_without_a_signature(root: Path, sources: list[Path]) -> None:
    """Neither in our sources, nor in the configuration of apt."""
    kinds = {".py", ".sh", ".Dockerfile", ".yml", ".yaml", ".toml", ""}
    mine = [path for path in sources if path.suffix in kinds and root / "tests" not in path.parents]
    wrong = [
        f"{path.relative_to(root)}: {word}"
        for path in mine
        for word in GULLIBLE
        if word in path.read_text(errors="replace").lower()
    ]
    assert wrong == []


def test_archives_are_signed_by_debian(tmp_path: Path) -> None:
    """Every archive has the one keyring; mmdebstrap is not told to trust anything."""
    line = bootstrap.command(tmp_path, "http://archive.example/debian")
    assert not [word for word in line if "trusted" in word or "unauth" in word.lower()]
    assert "signed-by={_KEYRING}" in Path(apt.__file__).read_text()
