"""A lab whose machine was left standing because something in it crashed.

Its record says so, and has the names of its domains, as dom0 cannot tell them any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.rundir import LabDir


def note(lab: LabDir, why: str, domains: Mapping[int, str]) -> None:
    """Record that a lab stands, and ``why``: ``guest hello crashed``."""
    named = {str(number): name for number, name in domains.items()}
    lab.record(stands={"why": why, "domains": named} if why else None)


def why(lab: LabDir) -> str:
    """Why a lab stands; empty if it runs."""
    return str(_stands(lab).get("why") or "")


def domains(lab: LabDir) -> dict[int, str]:
    """The names of the domains of a lab that stands, by their numbers."""
    known = _stands(lab).get("domains") or {}
    return {int(number): str(name) for number, name in known.items()}


def _stands(lab: LabDir) -> dict[str, Any]:
    found = (lab.state() or {}).get("stands")
    return found if isinstance(found, dict) else {}
