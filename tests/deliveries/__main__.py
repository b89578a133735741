"""Every mutilated delivery: `python -m tests.deliveries [--write docs/RELIABILITY.md] [--processes 2] [words]`.

Takes about half an hour of processor time; `make drill` runs some of the cases. With `--kept FILE` a run goes on where
another one of the same code ended, and words choose kinds to try now.
"""

import argparse
import multiprocessing
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.deliveries.faults import FAULTS
from tests.deliveries.outcomes import BAD
from tests.deliveries.report import BEGIN, END, FIRSTS, render, render_first
from tests.deliveries.share import known, outcomes_of


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only kinds whose name has one of these words")
    parser.add_argument("--write", type=Path, help="document with a marked block")
    parser.add_argument("--kept", type=Path, help="file that outcomes are kept in, and not tried again from")
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    wanted = [fault for fault in FAULTS if not given.words or any(word in fault.name for word in given.words)]
    cases = [(fault.name, source, False) for fault in wanted for source in fault.sources]
    cases += [(fault.name, source, True) for fault in wanted if fault.name in FIRSTS for source in fault.sources]
    with TemporaryDirectory() as folder:
        kept = given.kept or Path(folder) / "outcomes.jsonl"
        cases = [case for case in cases if case not in known(kept)]
        shares = [(cases[start :: given.processes], kept) for start in range(min(given.processes, len(cases)))]
        if shares:
            with multiprocessing.get_context("spawn").Pool(len(shares)) as pool:
                pool.starmap(outcomes_of, shares, chunksize=1)
        outcomes = known(kept)
    order = {fault.name: number for number, fault in enumerate(FAULTS)}
    outcomes = dict(sorted(outcomes.items(), key=lambda case: order[case[0][0]]))
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
