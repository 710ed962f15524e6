"""What can be done with labs. Synchronous; every function raises only :class:`LabError`.

A :class:`Context` says which labs.yaml, which toolchain, and who is told what goes on.
"""

from lab.api.comparing import Compared, compare
from lab.api.console import Answer, Console, Dom0, Seen
from lab.api.context import Context, Run, Status, Up, clean
from lab.api.handle import RunningLab, Traces
from lab.api.locking import Locked, check_lock, update_lock
from lab.api.new import new
from lab.api.outputs import ci_annotations, ci_summary
from lab.api.own import Limit, lab, limit, start_lab
from lab.api.parts import doctor, guest_build, image_build, image_list, toolchain_build
from lab.api.repeating import (
    Comparison,
    Repeated,
    compare_with_published,
    publish,
    repeat,
    verify,
)
from lab.api.several import template_clean, template_list, up_several
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
from lab.scenario import SILENCE
from lab.slots import Room
from lab.util.resources import as_called

__all__ = [
    "SILENCE",
    "Answer", "Compared", "Comparison", "Console", "Context", "Dom0", "Limit", "Locked", "Repeated",
    "Room", "Run", "RunningLab", "Seen", "Status", "Traces", "Up", "as_called", "check_lock",
    "ci_annotations", "ci_summary", "clean", "compare", "compare_with_published", "console",
    "doctor", "down", "down_all", "down_matching", "execute", "guest_build", "image_build",
    "image_list", "inject", "is_pattern",
    "lab", "limit", "list_labs", "logs", "make_plan", "new", "plan_json", "publish", "repeat",
    "run", "start_lab", "status", "tails", "template_clean", "template_list", "toolchain_build",
    "trace_diff", "trace_export", "trace_report", "trace_stats", "trace_timeline", "up",
    "up_several", "update_lock", "verify",
]  # fmt: skip
