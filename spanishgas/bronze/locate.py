"""Which raw files a data set consists of; everything that is missing is told at once."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spanishgas.config import DataSettings, DemoSettings, SourcePart
from spanishgas.contracts import SOURCES, Contract
from spanishgas.engine.raw_files import ENDINGS, Format, detect_format, find_files, names_in
from spanishgas.errors import ConfigError, SourceError


@dataclass(frozen=True)
class RawFile:
    """One raw file of a data set.

    Attributes:
        dataset: Name of the source contract, or ``customer_extras_<n>``.
        part: Which part of the source's configuration it belongs to, from 0.
        path: Where it lies.
        origin: Its name as rows carry it: relative to the raw folder.
        format: How it is read.
        settings: The part's configuration.
    """

    dataset: str
    part: int
    path: Path
    origin: str
    format: Format
    settings: SourcePart


@dataclass(frozen=True)
class _Gap:
    """Something that should be there and is not, in words."""

    dataset: str
    text: str


def extras_dataset(number: int) -> str:
    """Name under which the n-th table of extra attributes is landed, from 0."""
    return f"customer_extras_{number}"


def locate_sources(data: DataSettings, contracts: Sequence[Contract] = SOURCES) -> dict[str, tuple[RawFile, ...]]:
    """Raw files of every source that the data set has, sorted by name within a part.

    A source that the configuration declares absent is left out, and so is an optional one whose files are not there.

    Args:
        data: The data set.
        contracts: The sources a data set may have.

    Raises:
        ConfigError: A source is configured that no contract knows.
        SourceError: Required sources are missing; one error lists them all, with what was tried and what lies near.
    """
    _check_names(data, contracts)
    found: dict[str, tuple[RawFile, ...]] = {}
    gaps: list[_Gap] = []
    for contract in contracts:
        source = data.sources.get(contract.name)
        if source is None:
            if not contract.optional:
                gaps.append(_Gap(contract.name, "is not configured (give its parts, or `absent` with the reason)"))
            continue
        files, missing = _locate_parts(contract.name, source.parts, data.raw)
        if files:
            found[contract.name] = files
        if not contract.optional or files:
            gaps += missing
    for number, extra in enumerate(data.extras):
        files, missing = _locate_parts(extras_dataset(number), (extra.part,), data.raw)
        found[extras_dataset(number)] = files
        gaps += missing
    if gaps:
        listed = "; ".join(f"{gap.dataset} {gap.text}" for gap in gaps)
        noun = "source is" if len({gap.dataset for gap in gaps}) == 1 else "sources are"
        raise SourceError(
            f"{len({gap.dataset for gap in gaps})} {noun} missing or unreadable: {listed}",
            where=f"data set {data.name}, raw folder {data.raw}",
            count=len(gaps),
            todo=_advice(data),
        )
    return found


def _advice(data: DataSettings) -> str:
    if isinstance(data, DemoSettings) and not data.raw.exists():
        return "Run `demo_data` first: it writes the demo retailer's raw files"
    if not data.raw.is_dir():
        page = "docs/bring_your_own_data.md"
        return f"There is no folder {data.raw}: {page} says where files are expected, data.raw names another folder"
    return f"Correct the addresses in conf/data/{data.name}.yaml, or declare a source absent there with the reason"


def _check_names(data: DataSettings, contracts: Sequence[Contract]) -> None:
    known = [contract.name for contract in contracts]
    unknown = [name for name in data.sources if name not in known]
    if unknown:
        nearest = [f"{name} (nearest: {', '.join(_nearest(name, known)) or 'none'})" for name in unknown]
        raise ConfigError(
            "sources are configured that no contract knows",
            where=f"data.sources of {data.name}",
            count=len(unknown),
            examples=nearest,
            todo=f"Known sources: {', '.join(known)}",
        )
    by_contract = {contract.name: contract for contract in contracts}
    wrong = [
        f"{name}.{column} (nearest: {', '.join(_nearest(column, by_contract[name].column_names)) or 'none'})"
        for name, source in data.sources.items()
        for part in source.parts
        for column in part.columns
        if column not in by_contract[name].column_names
    ]
    if wrong:
        raise ConfigError(
            "columns are mapped that the contract does not have",
            where=f"data.sources of {data.name}",
            count=len(wrong),
            examples=wrong,
            todo="`python -m spanishgas.contracts` prints the contracts",
        )


def _locate_parts(dataset: str, parts: Sequence[SourcePart], raw: Path) -> tuple[tuple[RawFile, ...], list[_Gap]]:
    files: list[RawFile] = []
    gaps: list[_Gap] = []
    for number, part in enumerate(parts):
        paths = find_files(raw, part.files)
        if not paths:
            gaps.append(_Gap(dataset, f"(tried {part.files}; {_what_lies_near(raw, part.files)})"))
        for path in paths:
            format_ = detect_format(path) if part.format == "auto" else part.format
            if format_ is None:
                known = " ".join(ENDINGS)
                gaps.append(_Gap(dataset, f"({path.name}: the ending tells no format; set `format`, or use {known})"))
                continue
            files.append(RawFile(dataset, number, path, _origin(path, raw), format_, part))
    return tuple(files), gaps


def _origin(path: Path, raw: Path) -> str:
    return path.relative_to(raw).as_posix() if path.is_relative_to(raw) else path.name


def _what_lies_near(raw: Path, pattern: str) -> str:
    folder = (raw / pattern).parent
    while not folder.is_dir() and folder != folder.parent and folder != raw:
        folder = folder.parent
    if not folder.is_dir():
        return f"there is no folder {folder}"
    names = names_in(folder)
    near = _nearest(Path(pattern).name, names)
    if near:
        return f"nearest there: {', '.join(near)}"
    return f"{folder} holds {', '.join(names[:5]) or 'nothing'}"


def _nearest(name: str, known: Sequence[str]) -> list[str]:
    return list(_distinct([*difflib.get_close_matches(name, known, n=3, cutoff=0.5), *_same_stem(name, known)]))[:3]


def _same_stem(name: str, known: Sequence[str]) -> Iterator[str]:
    stem = name.split(".")[0].casefold().strip("*")
    return (other for other in known if stem and stem in other.casefold())


def _distinct(names: Sequence[str]) -> Iterator[str]:
    return iter(dict.fromkeys(names))
