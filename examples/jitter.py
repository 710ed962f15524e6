"""Run a traced lab and print how late its tasks were: ``python examples/jitter.py [labs.yaml]``."""

from __future__ import annotations

import sys
from pathlib import Path

from lab import api
from lab.errors import LabError


def main(file: Path) -> int:
    context = api.Context(file)
    run = api.run(context, "periodic")
    if not run.report.verdict.passed:
        print(run.report.verdict.reason, file=sys.stderr)
        return 1
    print(f"{'task':12} {'period (ms)':>12} {'jobs':>6} {'p99 jitter (us)':>16} {'missed':>7}")
    for task in api.trace_stats(context, str(run.run))["tasks"]:
        period, late = task["period"] * 1e3, task["jitter"]["p99"] * 1e6
        print(f"{task['task']:12} {period:12.1f} {task['jobs']:6} {late:16.1f} {task['misses']:7}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "labs.yaml")))
    except LabError as error:
        sys.exit(f"error: {error}")
