"""What got slower since a saved baseline.

A case is measured beside its reference in one run, so its ratio depends little on the machine and on what else runs
there: ratios are kept, and compared with those of today.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.harness import case_modules, measure, record

BASELINE = Path(__file__).with_name("baseline.json")
# A judgement, not a measure: less may be what else runs on the machine.
SLOWER = 1.25


def main(what: str, names: Sequence[str]) -> int:
    """Saves today's figures, or tells them beside those that were saved; 1 where a case got slower or larger.

    Args:
        what: ``save`` or ``compare``.
        names: Cases; none are all for ``save``, and those that were saved for ``compare``.
    """
    saved = json.loads(BASELINE.read_text()) if BASELINE.is_file() else {}
    wanted = list(names) or (list(saved) if what == "compare" else list(case_modules()))
    unknown = [name for name in wanted if name not in (saved if what == "compare" else case_modules())]
    if unknown or not wanted:
        known = ", ".join(saved if what == "compare" else case_modules())
        print(f"no baseline of: {', '.join(unknown) or 'anything'}. There are: {known}", file=sys.stderr)
        return 2
    worse = []
    for name in wanted:
        row = measure(name)
        record([row])
        now = {"ratio": round(float(str(row["ratio"])), 3), "peak_rss_mib": round(float(str(row["peak_rss_mib"])))}
        if what == "save":
            saved[name] = now
            BASELINE.write_text(json.dumps(dict(sorted(saved.items())), indent=1) + "\n")
            print(f"{name:24} {now['ratio']:8.2f} x reference, {now['peak_rss_mib']:,} MiB: saved", flush=True)
            continue
        times = {key: now[key] / saved[name][key] for key in now}
        worse += [f"{name} ({key}: {times[key]:.2f} x)" for key in now if times[key] > SLOWER]
        print(
            f"{name:24} {times['ratio']:6.2f} x the CPU (ratio {now['ratio']:.2f}, was {saved[name]['ratio']:.2f}), "
            f"{times['peak_rss_mib']:5.2f} x the memory",
            flush=True,
        )
    if worse:
        print(f"slower or larger than the baseline: {', '.join(worse)}", file=sys.stderr)
    return int(bool(worse))
