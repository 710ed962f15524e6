"""What each seed changes in a lab. Nothing is started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lab.api import outcomes
from lab.api.context import Context
from lab.api.plans import make_plan
from lab.explore import shards, variation
from lab.model import Clock, Plan


def explore_plan(
    context: Context, name: str, seeds: Sequence[int], shard: str = ""
) -> dict[int, list[str]]:
    """The disturbances of each seed, or of each in a shard such as ``2/3``, in words. Nothing is
    started.

    Raises:
        ConfigError, UsageError: labs.yaml, the name or the shard is wrong; the lab cannot be
            disturbed.
    """
    part = outcomes.shard_of(shard)
    seeds = shards.every(seeds, part) if part else seeds
    plans = ((seed, seed_plan(context, name, seed)) for seed in seeds)
    return {seed: [str(one) for one in plan.disturbances] for seed, plan in plans}


def explore_lacks(context: Context, name: str) -> dict[str, str]:
    """What cannot be different in a lab, and why. Nothing is started.

    Raises:
        ConfigError, UsageError: labs.yaml or the name is wrong; the lab cannot be disturbed.
    """
    return {str(what): why for what, why in variation.lacking(seed_plan(context, name, 1)).items()}


def seed_plan(context: Context, name: str, seed: int) -> Plan:
    """The plan of a run with a seed.

    Raises:
        ConfigError, UsageError: labs.yaml or the name is wrong; the lab cannot be disturbed.
    """
    # The commands that run a seed again follow labs.yaml: a lab with the host's clock is refused.
    return make_plan(replace(context, seed=seed), name, Clock.VIRTUAL)
