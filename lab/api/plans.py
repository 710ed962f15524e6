"""From labs.yaml to everything that a start needs: the plan, what it is made of, the intent."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

from lab import config
from lab import plan as planning
from lab.api import drift, lives
from lab.api.context import Context
from lab.config import arch
from lab.errors import UsageError
from lab.explore import variation
from lab.model import Clock, Plan
from lab.run import guests
from lab.run.start import Intent
from lab.workshop.prepare import Prepared


def make_plan(
    context: Context, name: str, clock: Clock = Clock.HOST, *, first: bool = False
) -> Plan:
    """The plan of a lab of labs.yaml. ``first``: this clock, whatever labs.yaml says.

    If the context has a seed, the plan has its disturbances.

    Raises:
        UsageError: there is no such lab, or it has something that the architecture of the
            context lacks; or the seed cannot disturb it. ConfigError: a file of its guests is not
            what it must be.
    """
    lab = config.find_startable(context.labs(), name, context.arch)
    if context.variant:
        lab = context.variant(lab)
    if why := arch.refused(lab):
        raise UsageError(f"lab {name}: {why}")
    found = planning.plan(replace(lab, clock=None) if first else lab, clock=clock)
    if context.seed is None:
        return found
    if found.machine.clock is not Clock.VIRTUAL:
        raise UsageError(
            "a seed needs the virtual clock: disturbances come at stops of the machine",
            hint="leave out 'clock: host' of this lab in labs.yaml, or --clock host",
        )
    return variation.vary(found, context.seed, context.keep)


def plan_json(context: Context, name: str) -> str:
    """The plan of a lab as JSON text."""
    return planning.to_json(make_plan(context, name))


def prepare(context: Context, plan: Plan) -> Prepared:
    """Make or find everything that a plan needs; say if packages are not the locked ones.

    Raises:
        LabError: something cannot be made; the layer says what.
        UsageError: dom0 has no room for the guests' files.
    """
    make = functools.partial(_prepare, context, plan)
    return context.shared.prepared(plan, make) if context.shared else make()


def _prepare(context: Context, plan: Plan) -> Prepared:
    workshop = context.workshop(arch=plan.machine.arch)
    prepared = workshop.prepare(plan, force=context.force)
    guests.check_room(context.file.absolute(), plan.lab, prepared.guests)
    names = drift.names(context, plan, prepared.images, prepared.guests)
    drift.tell(context, workshop, names)
    return prepared


def intent(context: Context, plan: Plan, owner: str, *, kept: bool) -> Intent:
    """What :func:`lab.run.start.started` takes. ``kept``: the machine outlives its block."""
    return Intent(
        plan, context.lab_dir(plan.lab.name), context.runs, owner, kept,
        functools.partial(prepare, context), context.progress,
    )  # fmt: skip


def intents_of_run(context: Context, plan: Plan) -> Iterator[Intent]:
    """To run a lab's scenario in the first place for runs that is free."""
    one = intent(context, plan, "lab.run", kept=False)
    return (replace(one, lab=place) for place in lives.places_of_runs(context, plan.lab.name))
