"""Runs benchmark cases: all, or those named."""

import sys
from pathlib import Path

from tests.benchmarks import baseline
from tests.benchmarks.harness import LATEST, call_step, case_modules, measure, record

# A pipeline at several sizes, which takes long: only when it is named.
GROWTH = "growth"
# Measured with servers side by side, not as a process beside another; needs the published demo.
SERVING = "serving"


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--step"]:
        name, step, folder = arguments[1:]
        call_step(name, step, Path(folder))
        return 0
    if arguments[:1] in (["save"], ["compare"]):
        return baseline.main(arguments[0], arguments[1:])
    known = [*case_modules(), SERVING, GROWTH]
    unknown = [name for name in arguments if name not in known]
    if unknown:
        print(f"no such case: {', '.join(unknown)}. Known cases: {', '.join(known)}", file=sys.stderr)
        return 2
    over = False
    for name in arguments or [name for name in known if name != GROWTH]:
        if name == GROWTH:
            from tests.benchmarks import growth

            over |= bool(growth.main())
            continue
        if name == SERVING:
            from tests.benchmarks import serving

            over |= bool(serving.main())
            continue
        row = measure(name)
        record([row])
        reference = row["reference"]
        assert isinstance(reference, dict)
        limits = [
            f"limit {row[key]:g}{unit}" for key, unit in (("limit", "x"), ("limit_mib", " MiB")) if row[key] is not None
        ]
        print(
            f"{name:24} {row['cpu_s']:8.2f} s CPU  {row['wall_s']:8.2f} s  {row['peak_rss_mib']:7.0f} MiB  "
            f"{row['ratio']:6.2f} x {reference['what']} ({reference['cpu_s']:.2f} s CPU) {' '.join(limits)}",
            flush=True,
        )
        over |= row["limit"] is not None and row["ratio"] > row["limit"]  # type: ignore[operator]
        over |= row["limit_mib"] is not None and row["peak_rss_mib"] > row["limit_mib"]  # type: ignore[operator]
    print(f"figures: {LATEST}")
    if over:
        print("a limit is exceeded", file=sys.stderr)
    return int(over)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
