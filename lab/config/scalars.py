"""The types of the values in labs.yaml: how each is read. :mod:`lab.config.schema` has the keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict

from lab.config import devices, fixed_memory, units
from lab.config.devices import DiskText, VifText
from lab.model import ARCHITECTURES
from lab.util import noshell

#: What all shapes have in common: every key is known, and nothing is converted silently.
STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)


def scalar(read: Callable[[str], Any], what: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError(f"must be {what}, not a {_kind(value)}")
        return read(value)

    return BeforeValidator(check)


def one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def split_words(value: Any) -> Any:
    if isinstance(value, list):
        noshell.check([word for word in value if isinstance(word, str)])
    return units.argv(value) if isinstance(value, str) else value


def _kind(value: Any) -> str:
    return "mapping" if isinstance(value, dict) else "list"


#: Ports of a static event channel. Xen gives port 1 to xenstore, and allows guests that it boots
#: ports up to 1023 (max_evtchn_port in create_domUs of xen/arch/arm/domain_build.c).
FIRST_PORT, LAST_PORT = 2, 1023
Name = Annotated[str, scalar(units.name, "a name")]
GuestName = Annotated[str, scalar(units.guest_name, "a name")]
Size = Annotated[int, scalar(units.size, "a size such as 16M")]
Seconds = Annotated[float, scalar(units.seconds, "a time such as 10s")]
Vcpus = Annotated[int, scalar(units.count(1, 8), "a number")]
Cpu = Annotated[int, scalar(units.count(0, 7), "a number")]
Cpus = Annotated[list[Cpu], BeforeValidator(one_or_more)]
#: Names of architectures; then processors and interrupt controllers of any of them. Which ones a
#: lab can have is checked in :mod:`lab.config.arch`.
Arch = Annotated[str, scalar(units.one_of(*(one.xen for one in ARCHITECTURES)), "a word")]
_PROCESSORS = dict.fromkeys(cpu for one in ARCHITECTURES for cpu in one.cpus)
Processor = Annotated[str, scalar(units.one_of(*_PROCESSORS), "a word")]
_VERSIONS = [gic for one in ARCHITECTURES for gic in one.gics]
Gic = Annotated[int, scalar(units.count(min(_VERSIONS), max(_VERSIONS)), "a number")]
Flag = Annotated[bool, scalar(units.boolean, "true or false")]
Text = Annotated[str, scalar(units.printable, "a text")]
Args = Annotated[str, scalar(units.ascii_line, "a text")]
Typed = Annotated[str, scalar(units.typed, "a text")]
FileName = Annotated[str, scalar(units.file_name, "a name of a file")]
Count = Annotated[int, scalar(units.count(0, 999_999_999), "a number")]
Address = Annotated[int, scalar(fixed_memory.address, "an address")]
PathText = Annotated[str, scalar(units.path, "a path")]
Disk = Annotated[DiskText, scalar(devices.disk, "text such as root.img,raw,xvda,rw")]
Vif = Annotated[VifText, scalar(devices.vif, "text such as bridge=xenbr0")]
Action = Annotated[str, scalar(devices.action, "a word")]
