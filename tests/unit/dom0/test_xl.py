"""The table of ``xl list``."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab.dom0 import xl
from lab.model import Domain

TABLE = """\
Name                                        ID   Mem VCPUs\tState\tTime(s)
Domain-0                                     0   256     1     r-----      13.5
hello                                        1    16     1     -b----       0.1
crashed                                     12    16     2     ---c--     100.0
(null)                                       3     0     1     --ps-d       0.1
"""


def test_every_line_is_a_domain() -> None:
    """Name, id, memory in bytes, vCPUs, state, seconds; the header is none."""
    found = xl.parse_list(TABLE)
    assert [one.name for one in found] == ["Domain-0", "hello", "crashed", "(null)"]
    assert found[2] == Domain("crashed", 12, 16 << 20, 2, "---c--", 100.0)


@given(st.text())
def test_whatever_xl_says_is_survived(text: str) -> None:
    """A line that is no domain is passed over."""
    assert all(isinstance(one, Domain) for one in xl.parse_list(text))
    assert len(xl.parse_list(f"{TABLE}\n{text}")) >= 4
