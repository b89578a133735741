"""Where the files of a group lie, as parts of a configuration say it: one pattern that names them and no others."""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from spanishgas.onboarding.looking import Group, Item
from spanishgas.readers import find_files, members_of


def addresses_of(group: Group, raw: Path) -> list[dict[str, Any]]:
    """Settings of the parts that read a group: `files` and how they are read.

    Args:
        group: Files with the same columns that read alike.
        raw: The raw folder.

    Returns:
        One where a pattern names these files and no others, else one for each file.
    """
    first = group.items[0]
    if first.part.member is not None:
        members = [str(item.part.member) for item in group.items]
        known = members_of(first.path, None)
        if set(members) == set(known):
            return [_with_reading({"files": first.file}, first)]
        candidates = _patterns(members) if len(members) > 1 else []
        pattern = next((one for one in candidates if set(members_of(first.path, one)) == set(members)), None)
        told = [pattern] if pattern else members
        return [_with_reading({"files": first.file, "member": member}, first) for member in told]
    names = [item.file for item in group.items]
    wanted = {item.path for item in group.items}
    if len(names) > 1:
        for pattern in _patterns(names):
            if set(find_files(raw, pattern)) == wanted:
                return [_with_reading({"files": pattern}, first)]
    elif (
        first.format == "parquet"
        and "/" in names[0]
        and set(find_files(raw, str(PurePosixPath(names[0]).parent))) == wanted
    ):
        # A folder of Parquet files grows by further ones.
        return [_with_reading({"files": str(PurePosixPath(names[0]).parent)}, first)]
    return [_with_reading({"files": name}, first) for name in names]


def _with_reading(address: dict[str, Any], item: Item) -> dict[str, Any]:
    told = item.part.model_dump(exclude_defaults=True, include={"format", "encoding", "header_row", "sheet"})
    return address | told


def _patterns(names: list[str]) -> list[str]:
    """Patterns that may name files, the narrowest first."""
    folders = {str(PurePosixPath(name).parent) for name in names}
    files = [PurePosixPath(name).name for name in names]
    start, end = common_ends(files)
    ending = PurePosixPath(files[0]).suffix
    globs = [f"{start}*{end}", f"*{ending}"]
    if len(folders) == 1:
        (folder,) = folders
        return [
            *([pattern if folder == "." else f"{folder}/{pattern}" for pattern in globs]),
            *([] if folder == "." else [folder]),
        ]
    common = os.path.commonpath(list(folders)) if "." not in folders else ""
    below = f"{common}/" if common else ""
    return [
        *(f"{below}*/{pattern}" for pattern in globs),
        *(f"{below}**/{pattern}" for pattern in globs),
        *([common] if common else []),
    ]


def common_ends(names: Sequence[str]) -> tuple[str, str]:
    """How all names begin and end, without digits next to what differs: these belong to it."""
    start = re.sub(r"\d+$", "", _common(names))
    left = [name[len(start) :] for name in names]
    return start, re.sub(r"^\d+", "", _common([name[::-1] for name in left])[::-1])


def _common(names: Sequence[str]) -> str:
    """The letters that all names begin with."""
    first, last = min(names), max(names)
    return next((first[:place] for place, letter in enumerate(first) if letter != last[place : place + 1]), first)
