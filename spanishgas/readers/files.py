"""Raw files on disk: which there are."""

from pathlib import Path

from spanishgas.readers.formats import is_data_file


def find_files(raw: Path, pattern: str) -> list[Path]:
    """Data files that a path, glob or folder below the raw folder stands for, sorted by name.

    A folder stands for every data file in it and below; names that begin with a dot or an underscore are left out, as
    other writers use them for what is not data.

    Args:
        raw: The data set's raw folder.
        pattern: Relative to it, or absolute.
    """
    anchor = Path(pattern)
    base, relative = (Path(anchor.anchor), anchor.relative_to(anchor.anchor)) if anchor.is_absolute() else (raw, anchor)
    direct = base / relative
    if direct.is_file():
        return [direct]
    if direct.is_dir():
        below = direct.rglob("*")
        return sorted(file for file in below if _is_data(file.relative_to(direct)) and is_data_file(file.name))
    found = [path for path in base.glob(str(relative)) if _is_data(Path(path.name))]
    nested = [file for folder in found if folder.is_dir() for file in find_files(base, str(folder.relative_to(base)))]
    return sorted({*(path for path in found if path.is_file()), *nested})


def _is_data(path: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in path.parts)


def names_in(folder: Path) -> list[str]:
    """Names of what lies in a folder, sorted; empty where there is no such folder."""
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
