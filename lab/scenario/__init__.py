"""Scenarios: plays a lab's steps and expectations, and reports the result.

``judge`` and ``console_watches`` decide from lines and times. ``player`` takes the steps, on a
stage that has the time (``host_stage`` here, ``lab.run.virtual_time`` above). ``report`` holds
the result, from which ``junitxml``, ``github`` and ``thresholds`` make theirs. These three are
imported by themselves.
"""

from lab.scenario.host_stage import watch
from lab.scenario.judge import Judge, tolerated
from lab.scenario.phrases import not_seen
from lab.scenario.player import Hands, Player, Script
from lab.scenario.report import (
    Case,
    ExpectationResult,
    NeverResult,
    Outcome,
    Report,
    StepResult,
    ThresholdResult,
    cases,
    failed_on,
    with_domains,
)
from lab.scenario.verdict import SILENCE, failed, fate, from_error, is_silent

__all__ = [
    "SILENCE", "Case", "ExpectationResult", "Hands", "Judge", "NeverResult", "Outcome", "Player",
    "Report", "Script", "StepResult", "ThresholdResult", "cases", "failed", "failed_on", "fate",
    "from_error", "is_silent", "not_seen", "tolerated", "watch", "with_domains",
]  # fmt: skip
