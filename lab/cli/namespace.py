"""All tasks by name."""

from __future__ import annotations

from invoke.collection import Collection

from lab.cli import (
    bisection,
    building,
    bundles,
    checks,
    cluster,
    completion_scripts,
    debugging,
    exploring,
    labs,
    merging,
    parsing,
    runs,
    serving,
    traces,
)

#: The tasks of each group, in the order in which they are shown.
_GROUPS = {
    "lab": (
        labs.lab_up,
        labs.lab_console,
        labs.lab_exec,
        labs.lab_inject,
        labs.lab_logs,
        labs.lab_status,
        labs.lab_list,
        debugging.lab_debug,
        debugging.lab_core,
        labs.lab_down,
        runs.lab_run,
        labs.lab_matrix,
        merging.lab_merge,
        exploring.lab_explore,
        bisection.lab_bisect,
        building.lab_new,
        building.lab_import,
        serving.lab_serve,
    ),
    "cluster": (cluster.cluster_up, cluster.cluster_worker),
    "guest": (building.guest_build,),
    "image": (
        building.image_build,
        building.image_list,
        building.image_lock,
    ),
    "bundle": (
        bundles.bundle_save,
        bundles.bundle_show,
        bundles.bundle_load,
        bundles.bundle_push,
        bundles.bundle_pull,
    ),
    "template": (
        runs.template_list,
        runs.template_clean,
    ),
    "toolchain": (
        building.toolchain_build,
        building.toolchain_info,
    ),
    "trace": (
        traces.trace_export,
        traces.trace_stats,
        traces.trace_report,
        traces.trace_diff,
    ),
}


def namespace() -> Collection:
    """The tasks, in the order in which they are shown."""
    parsing.improve()
    top = Collection(
        building.doctor, completion_scripts.print_completion, checks.run_bench, checks.run_soak
    )
    for name, tasks in _GROUPS.items():
        top.add_collection(Collection(name, *tasks))
    tests = Collection("test")
    tests.add_task(checks.run_tests, default=True)  # so that `test` alone is all of them
    tests.add_task(checks.run_faults)
    top.add_collection(tests)
    return top
