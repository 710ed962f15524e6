"""Everything that can be done with labs. All functions are synchronous and raise only LabError.

A :class:`Context` says which labs.yaml and which toolchain to use, and who hears of progress.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import lazy

if TYPE_CHECKING:
    from lab.api.beside import verdict_words
    from lab.api.bisection import Bisect, Bisected, bisect, mark_of
    from lab.api.bundle_wanted import BundleOptions
    from lab.api.bundles import (
        BundleInfo,
        BundleLoaded,
        BundleStored,
        load_bundle,
        pull_bundle,
        push_bundle,
        save_bundle,
        show_bundle,
    )
    from lab.api.checkup import doctor
    from lab.api.ci_output import ci_annotations, ci_summary
    from lab.api.clusters import cluster_up, cluster_worker
    from lab.api.console_logs import logs, tails
    from lab.api.consoles import Answer, Console, Dom0, Seen
    from lab.api.context import Context, architecture, clean
    from lab.api.copies import up_several
    from lab.api.cores import open_core
    from lab.api.debugging import DebugOptions, debug
    from lab.api.dom0 import execute
    from lab.api.explorations import Explored, ExploreOptions, explore
    from lab.api.guests import guest_build, inject
    from lab.api.images import image_build, image_list, toolchain_build
    from lab.api.imports import Imported, import_config
    from lab.api.labs import down, down_all, down_lives, down_matching, is_pattern, up
    from lab.api.listing import list_labs, status
    from lab.api.locks import Locked, check_lock, update_lock
    from lab.api.many import RunOptions, Runs, run_many, select
    from lab.api.matrices import Compared, compare
    from lab.api.merged_seeds import is_exploration, merge_explorations
    from lab.api.merging import Merged, merge, write_times
    from lab.api.moments import Moment
    from lab.api.new_folder import new
    from lab.api.other_sessions import where_else
    from lab.api.plans import make_plan, plan_json
    from lab.api.repetition import (
        Comparison,
        Repeated,
        compare_with_published,
        publish,
        repeat,
        verify,
    )
    from lab.api.results import LabStatus, Run, Status, Up, Where, worker_of
    from lab.api.running_lab import RunningLab, Traces
    from lab.api.runs import run
    from lab.api.scoped import LabOptions, Limit, lab, limit, start_lab
    from lab.api.seed_plans import explore_lacks, explore_plan
    from lab.api.serving import Serving, serve
    from lab.api.site import export_site
    from lab.api.templates import template_clean, template_list
    from lab.api.terminal import console
    from lab.api.traces import trace_diff, trace_export, trace_report, trace_stats, trace_timeline
    from lab.api.travelling import travel
    from lab.api.watching import Stood, until_it_stands
    from lab.cluster.sizes import Cluster, Size, Station
    from lab.explore.bisection import Mark
    from lab.explore.seeds import Exploration, SeedGroup, SeedResult
    from lab.run.slots import Room
    from lab.scenario import SILENCE
    from lab.util.resources import as_called
    from lab.web.serving import Links

#: The module of each name. It is imported when the name is used for the first time.
_HOMES = {
    "lab.api.beside": ("verdict_words",),
    "lab.api.bisection": ("Bisect", "Bisected", "bisect", "mark_of"),
    "lab.api.bundle_wanted": ("BundleOptions",),
    "lab.api.bundles": (
        "BundleInfo", "BundleLoaded", "BundleStored", "load_bundle", "pull_bundle",
        "push_bundle", "save_bundle", "show_bundle",
    ),
    "lab.api.checkup": ("doctor",),
    "lab.api.ci_output": ("ci_annotations", "ci_summary"),
    "lab.api.clusters": ("cluster_up", "cluster_worker"),
    "lab.api.console_logs": ("logs", "tails"),
    "lab.api.consoles": ("Answer", "Console", "Dom0", "Seen"),
    "lab.api.context": ("Context", "architecture", "clean"),
    "lab.api.copies": ("up_several",),
    "lab.api.cores": ("open_core",),
    "lab.api.debugging": ("DebugOptions", "debug"),
    "lab.api.dom0": ("execute",),
    "lab.api.explorations": ("ExploreOptions", "Explored", "explore"),
    "lab.api.guests": ("guest_build", "inject"),
    "lab.api.images": ("image_build", "image_list", "toolchain_build"),
    "lab.api.imports": ("Imported", "import_config"),
    "lab.api.labs": ("down", "down_all", "down_lives", "down_matching", "is_pattern", "up"),
    "lab.api.listing": ("list_labs", "status"),
    "lab.api.locks": ("Locked", "check_lock", "update_lock"),
    "lab.api.many": ("RunOptions", "Runs", "run_many", "select"),
    "lab.api.matrices": ("Compared", "compare"),
    "lab.api.merged_seeds": ("is_exploration", "merge_explorations"),
    "lab.api.merging": ("Merged", "merge", "write_times"),
    "lab.api.moments": ("Moment",),
    "lab.api.new_folder": ("new",),
    "lab.api.other_sessions": ("where_else",),
    "lab.api.plans": ("make_plan", "plan_json"),
    "lab.api.repetition": (
        "Comparison", "Repeated", "compare_with_published", "publish", "repeat", "verify",
    ),
    "lab.api.results": ("LabStatus", "Run", "Status", "Up", "Where", "worker_of"),
    "lab.api.running_lab": ("RunningLab", "Traces"),
    "lab.api.runs": ("run",),
    "lab.api.scoped": ("LabOptions", "Limit", "lab", "limit", "start_lab"),
    "lab.api.seed_plans": ("explore_lacks", "explore_plan"),
    "lab.api.serving": ("Serving", "serve"),
    "lab.api.site": ("export_site",),
    "lab.api.templates": ("template_clean", "template_list"),
    "lab.api.terminal": ("console",),
    "lab.api.traces": (
        "trace_diff", "trace_export", "trace_report", "trace_stats", "trace_timeline",
    ),
    "lab.api.travelling": ("travel",),
    "lab.api.watching": ("Stood", "until_it_stands"),
    "lab.cluster.sizes": ("Cluster", "Size", "Station"),
    "lab.explore.bisection": ("Mark",),
    "lab.explore.seeds": ("Exploration", "SeedGroup", "SeedResult"),
    "lab.run.slots": ("Room",),
    "lab.scenario": ("SILENCE",),
    "lab.util.resources": ("as_called",),
    "lab.web.serving": ("Links",),
}  # fmt: skip
if not TYPE_CHECKING:  # a checker would take every name for one of ours
    __getattr__ = lazy.exports(__name__, _HOMES)

__all__ = [
    "SILENCE", "Answer", "Bisect", "Bisected", "BundleInfo", "BundleLoaded", "BundleOptions",
    "BundleStored", "Cluster", "Compared", "Comparison", "Console", "Context", "DebugOptions",
    "Dom0", "Exploration", "ExploreOptions", "Explored", "Imported", "LabOptions", "LabStatus",
    "Limit", "Links", "Locked", "Mark", "Merged", "Moment", "Repeated", "Room", "Run", "RunOptions",
    "RunningLab", "Runs", "SeedGroup", "SeedResult", "Seen", "Serving", "Size", "Station", "Status",
    "Stood", "Traces", "Up", "Where", "architecture", "as_called", "bisect", "check_lock",
    "ci_annotations", "ci_summary", "clean", "cluster_up", "cluster_worker", "compare",
    "compare_with_published", "console", "debug", "doctor", "down", "down_all", "down_lives",
    "down_matching", "execute", "explore", "explore_lacks", "explore_plan", "export_site",
    "guest_build", "image_build", "image_list", "import_config", "inject", "is_exploration",
    "is_pattern", "lab", "limit", "list_labs", "load_bundle", "logs", "make_plan", "mark_of",
    "merge", "merge_explorations", "new", "open_core", "plan_json", "publish", "pull_bundle",
    "push_bundle", "repeat", "run", "run_many", "save_bundle", "select", "serve", "show_bundle",
    "start_lab", "status", "tails", "template_clean", "template_list", "toolchain_build",
    "trace_diff", "trace_export", "trace_report", "trace_stats", "trace_timeline", "travel",
    "until_it_stands", "up", "up_several", "update_lock", "verdict_words", "verify", "where_else",
    "worker_of", "write_times",
]  # fmt: skip
