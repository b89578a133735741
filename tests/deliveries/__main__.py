"""Every mutilated delivery: `python -m tests.deliveries [--write docs/RELIABILITY.md] [--processes 2] [words]`.

Takes about half an hour of processor time; `make drill` runs some of the cases.
"""

import argparse
import multiprocessing
import re
import sys
from pathlib import Path

from tests.deliveries.faults import FAULTS
from tests.deliveries.outcomes import BAD
from tests.deliveries.report import BEGIN, END, FIRSTS, render, render_first
from tests.deliveries.share import outcomes_of


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only kinds whose name has one of these words")
    parser.add_argument("--write", type=Path, help="document with a marked block")
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    wanted = [fault for fault in FAULTS if not given.words or any(word in fault.name for word in given.words)]
    cases = [(fault.name, source, False) for fault in wanted for source in fault.sources]
    cases += [(fault.name, source, True) for fault in wanted if fault.name in FIRSTS for source in fault.sources]
    shares = [cases[start :: given.processes] for start in range(given.processes)]
    with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
        answers = pool.map(outcomes_of, shares, chunksize=1)
    outcomes = {
        case: one for share, found in zip(shares, answers, strict=True) for case, one in zip(share, found, strict=True)
    }
    later = {(name, source): one for (name, source, first), one in outcomes.items() if not first}
    firsts = {(name, source): one for (name, source, first), one in outcomes.items() if first}
    text = render(later) + render_first(firsts)
    if given.write:
        before = given.write.read_text()
        given.write.write_text(re.sub(f"(?s){re.escape(BEGIN)}.*?{re.escape(END)}", f"{BEGIN}\n{text}{END}", before))
    else:
        print(text)
    bad = [case for case, one in outcomes.items() if one.kind in BAD]
    print(f"{len(outcomes)} cases, {len(bad)} of them bad", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
