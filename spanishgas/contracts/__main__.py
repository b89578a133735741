"""Prints the contracts: `python -m spanishgas.contracts [NAME ...] [--write FILE]`."""

import argparse
import sys
from pathlib import Path

from spanishgas.contracts import ALL_CONTRACTS
from spanishgas.contracts.dictionary import render_contract, render_dictionary


def main(argv: list[str] | None = None) -> int:
    """Prints all contracts, or those named; with `--write`, writes the data dictionary."""
    parser = argparse.ArgumentParser(prog="python -m spanishgas.contracts", description=__doc__)
    parser.add_argument("names", nargs="*", help="tables to print; all without a name")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the data dictionary instead of printing")
    arguments = parser.parse_args(argv)
    if arguments.write is not None:
        arguments.write.write_text(render_dictionary(ALL_CONTRACTS), encoding="utf-8")
        return 0
    known = {contract.name for contract in ALL_CONTRACTS}
    unknown = sorted(set(arguments.names) - known)
    if unknown:
        print(f"no such table: {', '.join(unknown)}. Known tables: {', '.join(sorted(known))}", file=sys.stderr)
        return 2
    if not arguments.names:
        print(render_dictionary(ALL_CONTRACTS), end="")
    for contract in ALL_CONTRACTS:
        if contract.name in arguments.names:
            print(render_contract(contract))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
