"""What the host lacks is installed if that is allowed; otherwise the user is told how."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.errors import ToolchainError
from lab.toolchain import provide
from toolchain.conftest import Fakes

Said = tuple[list[str], Callable[[str], None]]


@pytest.mark.usefixtures("ordinary_user")
def test_without_sudo_the_exact_command_is_the_hint(fakes: Fakes, said: Said) -> None:
    """Nothing is run."""
    fakes.add("apt-get")
    with pytest.raises(ToolchainError) as caught:
        provide.ensure({"bwrap": "bubblewrap", "mmdebstrap": "mmdebstrap"}, said[1])
    command = "sudo apt-get install --yes --no-install-recommends bubblewrap mmdebstrap"
    assert command in caught.value.hint
    assert fakes.calls("apt-get") == []


@pytest.mark.usefixtures("ordinary_user")
def test_sudo_that_wants_a_password_is_no_sudo(fakes: Fakes, said: Said) -> None:
    """Nothing ever asks for one."""
    fakes.add("apt-get")
    fakes.add("sudo", "sys.exit(1)")
    with pytest.raises(ToolchainError):
        provide.ensure({"bwrap": "bubblewrap"}, said[1])
    assert fakes.calls("sudo") == [["-n", "true"]]


@pytest.mark.usefixtures("ordinary_user")
def test_with_sudo_it_is_said_and_done(fakes: Fakes, said: Said) -> None:
    """Through ``sudo -n``; the message comes first."""
    fakes.add("apt-get")
    fakes.add("sudo")
    provide.ensure({"bwrap": "bubblewrap"}, said[1])
    assert said[0] == ["installing with apt: bubblewrap"]
    assert "bubblewrap" in fakes.calls("sudo")[-1]


def test_old_lists_are_updated_once(
    fakes: Fakes, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fresh machine has no lists; on a machine without network this ends, too."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    fakes.add("apt-get")
    fakes.add("env", 'sys.exit("E: Unable to locate package bubblewrap")')
    with pytest.raises(ToolchainError) as caught:
        provide.ensure({"bwrap": "bubblewrap"}, said[1])
    verbs = [
        next(word for word in call if word in ("install", "update")) for call in fakes.calls("env")
    ]
    assert verbs == ["install", "update", "install"]
    assert "Unable to locate" in caught.value.tail


def test_another_process_that_installs_is_waited_for(
    fakes: Fakes, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By apt, which would fail at once; nobody is told to type that."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    fakes.add("apt-get")
    fakes.add("env", "sys.exit(1)")
    with pytest.raises(ToolchainError) as caught:
        provide.ensure({"bwrap": "bubblewrap"}, said[1])
    first, _, again = fakes.calls("env")
    assert first[-3:] == ["bubblewrap", "-o", "DPkg::Lock::Timeout=300"]
    assert again == first
    assert "Timeout" not in caught.value.hint


def test_what_is_there_is_not_asked_for(fakes: Fakes, said: Said) -> None:
    """apt is not called, and nothing is printed."""
    fakes.add("bwrap")
    provide.ensure({"bwrap": "bubblewrap", str(fakes.folder / "bwrap"): "x"}, said[1])
    assert said[0] == []
