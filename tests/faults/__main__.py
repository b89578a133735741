"""Long drills of faults: `python -m tests.faults kills --seed 1 --per-stage 6 --pipelines 20 [stages]`."""

import argparse

from tests.faults import kills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    drills = parser.add_subparsers(required=True)
    one = drills.add_parser("kills", help=kills.__doc__)
    one.add_argument("only", nargs="*", help="stages; all without")
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--per-stage", type=int, default=6)
    one.add_argument("--pipelines", type=int, default=20)
    one.set_defaults(run=lambda given: kills.main(given.seed, given.per_stage, given.pipelines, given.only))
    given = parser.parse_args()
    given.run(given)


if __name__ == "__main__":
    main()
