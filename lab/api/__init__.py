"""What can be done with labs. Synchronous; every function raises only :class:`LabError`.

A :class:`Context` says which labs.yaml, which toolchain, and who is told what goes on.
"""

from lab.api.comparing import Compared, compare
from lab.api.context import Context, Run, Status, Up
from lab.api.locking import Locked, check_lock, update_lock
from lab.api.outputs import ci_annotations, ci_summary
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
from lab.api.starting import down, down_all, make_plan, plan_json, run, up
from lab.api.traces import (
    trace_diff,
    trace_export,
    trace_report,
    trace_stats,
    trace_timeline,
)
from lab.api.using import console, execute, inject, list_labs, logs, status

__all__ = [
    "Compared", "Comparison", "Context", "Locked", "Repeated", "Run", "Status", "Up",
    "check_lock", "ci_annotations", "ci_summary", "compare",
    "compare_with_published", "console", "doctor", "down", "down_all",
    "execute", "guest_build", "image_build", "image_list", "inject", "list_labs", "logs",
    "make_plan", "plan_json", "publish", "repeat", "run", "status", "template_clean",
    "template_list", "toolchain_build", "trace_diff", "trace_export", "trace_report",
    "trace_stats", "trace_timeline", "up", "up_several", "update_lock", "verify",
]  # fmt: skip
