"""What of labs.yaml is about guests that Xen itself creates, and about labs without dom0."""

from __future__ import annotations

from collections.abc import Iterator

from lab.config import schema
from lab.config.yaml_source import Loc, Source
from lab.model import Act, Lab, Step
from lab.util.terminal import quote

#: A guest's ``start:``.
TOOLSTACK, DEVICE_TREE = "toolstack", "device-tree"
#: Linux's console on the ring that ``xl`` sets up.
_RING = "console=hvc"
#: What a step does that only dom0 can do.
_OF_DOM0 = {Act.EXEC, Act.INJECT, Act.DESTROY, Act.PAUSE, Act.UNPAUSE, Act.RESTART,
            Act.COLLECT}  # fmt: skip
#: A guest's keys that only ``xl`` understands.
_WORDS_OF_XL = ("disk", "vif", "vuart", "on_poweroff", "on_reboot", "on_watchdog", "on_crash")
#: What ``xl`` cannot do with a guest that it has not created.
_OF_XL = {Act.INJECT: "injected", Act.RESTART: "restarted"}
#: Xen passes its input on to so many guests that it boots, at most
#: (:mod:`lab.machine.shared_input`).
_MOST_TYPED_TO = 3


def check_guest(source: Source, at: Loc, shape: schema.Guest) -> None:
    """Add to ``source`` what does not go with ``start: device-tree``."""
    if shape.start != DEVICE_TREE:
        return
    for key in _WORDS_OF_XL:
        if key in shape.model_fields_set:
            text = f"'{key}' needs xl, and Xen itself creates a guest with 'start: device-tree'"
            source.add((*at, key), text, key=True)
    consoles = [word for word in shape.cmdline.split() if word.startswith("console=")]
    if consoles and all(word.startswith(_RING) for word in consoles):
        text = (
            f"'{consoles[0]}' is Xen's ring, which a guest with 'start: device-tree' does not "
            "have: nobody would read what it prints. It has a PL011: 'console=ttyAMA0'"
        )
        source.add((*at, "cmdline"), text)


def check(source: Source, at: Loc, shape: schema.Lab, lab: Lab) -> None:
    """Add to ``source`` what needs a dom0, or ``xl``, and does not have it."""
    numbered = enumerate(zip(shape.steps, lab.steps, strict=True))
    steps = [
        found for i, (given, step) in numbered for found in _each((*at, "steps", i), given, step)
    ]
    by_xen = {guest.name for guest in (*lab.guests, *lab.later) if guest.by_xen}
    for place, step in steps:
        if lab.without_dom0 and step.do in _OF_DOM0:
            text = f"'{step.do}' needs dom0, and lab '{lab.name}' has none"
            source.add((*place, str(step.do)), text, key=True)
        elif step.do in _OF_XL and step.on in by_xen:
            text = f"guest '{step.on}' has 'start: device-tree': it cannot be {_OF_XL[step.do]}"
            source.add((*place, str(step.do)), text)
        elif step.do is Act.TYPE and step.on in by_xen:
            _typed(source, place, step, len(by_xen))
        elif lab.without_dom0 and step.on == "dom0":
            text = f"lab '{lab.name}' has no dom0, and no such console"
            source.add((*place, "on"), text)
    if lab.without_dom0:
        _alone(source, at, shape, lab)


def _typed(source: Source, at: Loc, step: Step, count: int) -> None:
    """What is typed to a guest of the device tree goes through Xen's own input."""
    if count > _MOST_TYPED_TO:
        text = (
            f"nothing can be typed to guest '{step.on}': Xen passes its input on to "
            f"{_MOST_TYPED_TO} guests with 'start: device-tree' at most, and the lab has {count}"
        )
        source.add((*at, "type"), text)


def _each(at: Loc, shape: schema.Step, step: Step) -> Iterator[tuple[Loc, Step]]:
    yield at, step
    for i, (given, member) in enumerate(zip(shape.parallel or [], step.members, strict=False)):
        yield from _each((*at, "parallel", i), given, member)


def _alone(source: Source, at: Loc, shape: schema.Lab, lab: Lab) -> None:
    """A lab without dom0: only guests of the device tree, nothing that dom0 does."""
    if not lab.guests:
        source.add(at, f"lab '{lab.name}' has neither dom0 nor guests")
    for i, guest in enumerate(lab.guests):
        if not guest.by_xen:
            text = f"guest {quote(guest.name)} needs dom0, and lab '{lab.name}' has none"
            source.add((*at, "guests", i), f"{text}: give the guest 'start: device-tree'")
        if guest.trace:
            text = f"'trace' needs dom0, and lab '{lab.name}' has none"
            source.add(("guests", guest.name, "trace"), text, key=True)
        if guest.scheduler:
            text = f"'scheduler' needs dom0, which gives the share; lab '{lab.name}' has none"
            source.add(("guests", guest.name, "scheduler"), text, key=True)
        if guest.cpus:
            text = f"'cpus' needs dom0, which pins the guest, and lab '{lab.name}' has none"
            source.add(("guests", guest.name, "cpus"), text, key=True)
    if shape.scheduler and shape.scheduler.model_dump(exclude={"name"}, exclude_none=True):
        text = f"'scheduler' gives shares, which needs dom0, and lab '{lab.name}' has none"
        source.add((*at, "scheduler"), text, key=True)
    if shape.trace:
        source.add((*at, "trace"), f"'trace' needs dom0, and lab '{lab.name}' has none", key=True)
    consoles = [(("expect", i), one.on) for i, one in enumerate(shape.expect)]
    consoles += [(("never", i), one.on or "") for i, one in enumerate(shape.never)]
    for place, on in consoles:
        if on == "dom0":
            source.add((*at, *place, "on"), f"lab '{lab.name}' has no dom0, and no such console")
