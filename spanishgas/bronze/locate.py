"""Which raw files a data set consists of; everything that is missing is told at once."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spanishgas.config import DataSettings, DemoSettings, SourcePart
from spanishgas.contracts import SOURCES, Contract
from spanishgas.errors import ConfigError, SourceError
from spanishgas.readers import ENDINGS, Format, detect_format, find_files, is_zip, members_of, names_in


@dataclass(frozen=True)
class RawFile:
    """One raw file of a data set, one member of an archive, or the rows of a database.

    Attributes:
        dataset: Name of the source contract, or ``customer_extras_<n>``.
        part: Which part of the source's configuration it belongs to, from 0.
        path: Where it lies; for a database, the rows that were fetched, or no file yet.
        origin: Its name as rows carry it: relative to the raw folder, with the member of an archive.
        format: How it is read.
        settings: The part's configuration.
        member: Its path in a zip archive, or None.
        digest: Digest of the rows of a database; None where it is that of the file's bytes.
    """

    dataset: str
    part: int
    path: Path
    origin: str
    format: Format
    settings: SourcePart
    member: str | None = None
    digest: str | None = None


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
    folder = _folder(data)
    found: dict[str, tuple[RawFile, ...]] = {}
    gaps: list[_Gap] = []
    for contract in contracts:
        source = data.sources.get(contract.name)
        if source is None:
            if not contract.optional:
                gaps.append(_Gap(contract.name, "is not configured (give its parts, or `absent` with the reason)"))
            continue
        files, missing = _locate_parts(contract.name, source.parts, folder)
        if files:
            found[contract.name] = files
        if not contract.optional or files:
            gaps += missing
    for number, extra in enumerate(data.extras):
        files, missing = _locate_parts(extras_dataset(number), (extra.part,), folder)
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


def _folder(data: DataSettings) -> Path:
    """The folder of the raw files; where they are published in an object store the caller has made copies."""
    assert isinstance(data.raw, Path)
    return data.raw


def _advice(data: DataSettings) -> str:
    if isinstance(data, DemoSettings) and not _folder(data).exists():
        return "Run `demo_data` first: it writes the demo retailer's raw files"
    if not _folder(data).is_dir():
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
        if part.sql is not None:
            files.append(RawFile(dataset, number, Path(), part.place, "sql", part))
            continue
        paths = find_files(raw, part.files)
        if not paths:
            gaps.append(_Gap(dataset, f"(tried {part.files}; {_what_lies_near(raw, part.files)})"))
        for path in paths:
            origin = _origin(path, raw)
            members = _members(path, part) if is_zip(path.name) else [None]
            if not members:
                wanted = part.member or "any data file"
                gaps.append(_Gap(dataset, f"({path.name}: the archive has no member {wanted})"))
            for member in members:
                format_ = detect_format(member or path.name) if part.format == "auto" else part.format
                name = origin if member is None else f"{origin}/{member}"
                if format_ is None:
                    known = " ".join(ENDINGS)
                    gaps.append(_Gap(dataset, f"({name}: the ending tells no format; set `format`, or use {known})"))
                else:
                    files.append(RawFile(dataset, number, path, name, format_, part, member))
    return tuple(files), gaps


def _members(path: Path, part: SourcePart) -> list[str | None]:
    """Members of an archive that are read: as told, else those whose ending tells a format."""
    found = members_of(path, part.member)
    told = part.member is not None or part.format != "auto"
    return [member for member in found if told or detect_format(member) is not None]


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
