"""Prints the declared features: `python -m spanishgas.features [--write FILE]`."""

import argparse
from pathlib import Path

from spanishgas.features import FAMILIES


def render() -> str:
    """The feature dictionary in Markdown."""
    lines = [
        "# Features",
        "",
        "Generated from the declarations by `make dictionary`; do not edit. A feature uses only rows whose event and",
        "known-at days are both at or before `as_of`; windows end at `as_of`. A sign says that the value is known",
        "beforehand to raise (+) or lower (-) the risk of leaving. A feature that trends has the level of its date, so",
        "models leave it out where splits are apart in time. A data set's own attributes stand beside these as",
        "`extra_<name>` (conf/data, `extras`).",
        "",
    ]
    for family in FAMILIES:
        if not family.features:
            continue
        lines += [
            f"## {family.name}",
            "",
            "| feature | type | unit | window | delay | sign | trends | from | meaning |",
        ]
        lines += ["| --- | --- | --- | ---: | ---: | --- | --- | --- | --- |"]
        lines += [
            f"| `{one.name}` | {one.type} | {one.unit or ''} | {f'{one.window_days} d' if one.window_days else ''} "
            f"| {f'{one.known_at_delay_days} d' if one.known_at_delay_days else ''} "
            f"| {({1: '+', -1: '-'}).get(one.monotone, '')} "
            f"| {'yes' if one.trending else ''} "
            f"| {', '.join(source.replace('|', ' or ') for source in one.source)} | {one.description} |"
            for one in family.features
        ]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def main(argv: list[str] | None = None) -> int:
    """Prints all features, or writes them to a file."""
    parser = argparse.ArgumentParser(prog="python -m spanishgas.features", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the document instead of printing")
    arguments = parser.parse_args(argv)
    if arguments.write is None:
        print(render(), end="")
    else:
        arguments.write.write_text(render(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
