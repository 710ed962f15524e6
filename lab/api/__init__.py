"""What can be done with labs. Synchronous; every function raises only :class:`LabError`.

A :class:`Context` says which labs.yaml, which toolchain, and who is told what goes on.
"""

from lab.api.ci_output import ci_annotations, ci_summary
from lab.api.consoles import Answer, Console, Dom0, Seen
from lab.api.context import Context, LabStatus, Run, Up, clean
from lab.api.copies import template_clean, template_list, up_several
from lab.api.handle import RunningLab, Traces
from lab.api.locks import Locked, check_lock, update_lock
from lab.api.matrices import Compared, compare
from lab.api.new_folder import new
from lab.api.other_sessions import where_else
from lab.api.parts import doctor, guest_build, image_build, image_list, toolchain_build
from lab.api.repeat import (
    Comparison,
    Repeated,
    compare_with_published,
    publish,
    repeat,
    verify,
)
from lab.api.scoped import Limit, lab, limit, start_lab
from lab.api.starting import make_plan, plan_json, run, up
from lab.api.status import list_labs, status
from lab.api.stopping import down, down_all, down_matching, is_pattern
from lab.api.terminal import console
from lab.api.traces import (
    trace_diff,
    trace_export,
    trace_report,
    trace_stats,
    trace_timeline,
)
from lab.api.using import execute, inject, logs, tails
from lab.run.slots import Room
from lab.scenario import SILENCE
from lab.util.resources import as_called

#: The name of before.
Status = LabStatus

__all__ = [
    "SILENCE",
    "Answer",
    "Compared",
    "Comparison",
    "Console",
    "Context",
    "Dom0",
    "LabStatus",
    "Limit",
    "Locked",
    "Repeated",
    "Room",
    "Run",
    "RunningLab",
    "Seen",
    "Status",
    "Traces",
    "Up",
    "as_called",
    "check_lock",
    "ci_annotations",
    "ci_summary",
    "clean",
    "compare",
    "compare_with_published",
    "console",
    "doctor",
    "down",
    "down_all",
    "down_matching",
    "execute",
    "guest_build",
    "image_build",
    "image_list",
    "inject",
    "is_pattern",
    "lab",
    "limit",
    "list_labs",
    "logs",
    "make_plan",
    "new",
    "plan_json",
    "publish",
    "repeat",
    "run",
    "start_lab",
    "status",
    "tails",
    "template_clean",
    "template_list",
    "toolchain_build",
    "trace_diff",
    "trace_export",
    "trace_report",
    "trace_stats",
    "trace_timeline",
    "up",
    "up_several",
    "update_lock",
    "verify",
    "where_else",
]  # fmt: skip
