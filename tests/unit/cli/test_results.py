"""What the tasks print about labs."""

from __future__ import annotations

import pytest

from lab.api.results import LabStatus
from lab.cli import results
from lab.model import Domain, State

DOM0 = Domain("Domain-0", 0, 256 << 20, 1, "r-----", 1.0)
GUEST = Domain("early", 1, 16 << 20, 1, "------", 0.0)


@pytest.mark.parametrize(
    ("domains", "said"), [([DOM0, GUEST], False), ([GUEST], True), ([], False)]
)
def test_the_state_of_guests_is_unknown_without_dom0(
    capsys: pytest.CaptureFixture[str], domains: list[Domain], said: bool
) -> None:
    """Of a lab that does not answer nothing is claimed."""
    results.show_statuses([LabStatus("l", State.GUESTS, domains=domains, running=True)])
    assert ("it has no dom0" in capsys.readouterr().out) is said
