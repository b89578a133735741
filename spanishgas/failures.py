"""What to tell a user about an error that nobody foresaw: what failed, where, what to do, where the traceback is kept.

Errors of other libraries are known by their names, so that none has to be loaded to explain one.
"""

import errno
import os
import re
import shutil
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from spanishgas.errors import SpanishGasError
from spanishgas.redaction import redacted

STAGE, STEP, PLACE, KEPT = "stage", "step", "place", "traceback kept in"
MAPPING = "Check the source's columns, format and encoding in conf/data/<name>.yaml"
QUOTED_FILE = re.compile(r"""["']([^"'\n]*[/\\][^"'\n]+)["']""")
LACKING_COLUMN = re.compile(r"[Cc]olumn ['\"]?([^'\"]+?)['\"]? is not found", re.DOTALL)
QUOTED = re.compile(r"['\"]([^'\"\n]+)['\"]")
MAX_LINE = 400


class UnexpectedError(SpanishGasError):
    """An error that nobody foresaw, in words."""


def note(error: BaseException, name: str, value: str) -> None:
    """Writes down on an error where it came up; the first to know, who stood nearest, is believed."""
    if noted(error, name) is None:
        error.add_note(f"{name}: {value}")


def noted(error: BaseException, name: str) -> str | None:
    """What was written down on an error, or None."""
    notes = getattr(error, "__notes__", ())
    return next((text.partition(": ")[2] for text in notes if text.startswith(f"{name}: ")), None)


def traceback_of(error: BaseException) -> str:
    """The whole traceback, with what led to it, without secrets."""
    return redacted("".join(traceback.format_exception(error)))


def keep_in_a_file(error: BaseException) -> None:
    """Keeps the traceback in a file of the temporary folder, for where a run cannot keep it."""
    if noted(error, KEPT) is not None:
        return
    try:
        handle, name = tempfile.mkstemp(prefix="spanishgas-traceback-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(traceback_of(error))
    except OSError:  # no space there either: the terminal is told how to see it
        return
    note(error, KEPT, name)


def explain(error: Exception) -> UnexpectedError:
    """An error of any kind as one that a user can act on."""
    kind = next(kind for kind in KINDS if kind.fits(error))
    stage, step, kept = (noted(error, name) for name in (STAGE, STEP, KEPT))
    places = [f"{stage}, while at: {step}" if stage and step else stage or "", _file(error) or ""]
    told = kind.told(error)
    todo = kind.todo(error)
    if kind is FULL:
        told += free_at(_file(error) or noted(error, PLACE))
    where_kept = f"The full traceback is in {kept}" if kept else "SPANISHGAS_TRACEBACK=1 shows the full traceback"
    return UnexpectedError(told, where="; ".join(filter(None, places)) or None, todo=f"{todo}. {where_kept}")


def free_at(place: str | None) -> str:
    """How much is free on the disk of a file or folder, as the end of a sentence; nothing where that is not known."""
    if place is None or not Path(place).is_absolute():
        return ""
    folder = next((one for one in (Path(place), *Path(place).parents) if one.is_dir()), None)
    try:
        usage = shutil.disk_usage(folder) if folder is not None else None
    except OSError:
        return ""
    return (
        "" if usage is None else f"; {usage.free / 2**20:,.1f} of {usage.total / 2**20:,.1f} MiB are free at {folder}"
    )


@dataclass(frozen=True)
class Kind:
    """A kind of errors.

    Attributes:
        fits: Whether an error is of the kind.
        told: What failed.
        todo: What to do.
    """

    fits: Callable[[Exception], bool]
    told: Callable[[Exception], str]
    todo: Callable[[Exception], str]


def _says(text: str) -> Callable[[Exception], str]:
    return lambda error: f"{text} ({_first_line(error)})" if _first_line(error) else text


def _do(text: str) -> Callable[[Exception], str]:
    return lambda _: text


def _is(*kinds: type[Exception]) -> Callable[[Exception], bool]:
    return lambda error: isinstance(error, kinds)


def _number(*numbers: int) -> Callable[[Exception], bool]:
    return lambda error: isinstance(error, OSError) and error.errno in numbers


def _of(library: str, *names: str) -> Callable[[Exception], bool]:
    """Errors of a library, or those of certain names."""

    def fits(error: Exception) -> bool:
        return any(
            kind.__module__.partition(".")[0] in (library, f"_{library}") and (not names or kind.__name__ in names)
            for kind in type(error).__mro__
        )

    return fits


def _with(*words: str) -> Callable[[Exception], bool]:
    return lambda error: any(word in str(error) for word in words)


def _either(*tests: Callable[[Exception], bool]) -> Callable[[Exception], bool]:
    return lambda error: any(test(error) for test in tests)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:MAX_LINE] if lines else ""


def _file(error: Exception) -> str | None:
    named = getattr(error, "filename", None)
    if isinstance(named, str | bytes | Path):
        return os.fsdecode(named)
    found = QUOTED_FILE.search(str(error))
    return found.group(1) if found else None


def _undecodable(error: Exception) -> str:
    assert isinstance(error, UnicodeDecodeError)
    wrong = error.object[error.start : error.start + 1]
    return f"byte 0x{wrong.hex()} at position {error.start:,} is not {error.encoding} ({error.reason})"


def _lacking(error: Exception) -> str:
    """Which column is missing, and which of those that are there have names near to it."""
    found = LACKING_COLUMN.search(str(error))
    if found is None:
        return f"{str(error.args[0]) if error.args else 'a key'!r} is looked for and is not there"
    others = [name for name in QUOTED.findall(str(error)) if name != found.group(1)]
    near = get_close_matches(found.group(1), others, n=3, cutoff=0.4)
    nearest = f" (nearest: {', '.join(near)})" if near else ""
    there = f"; there are: {', '.join(others[:20])}" if others else ""
    return f"the column {found.group(1)!r} is not in the file{nearest}{there}"


def _fault(error: Exception) -> str:
    line = _first_line(error)
    return f"an error that nobody foresaw: {type(error).__name__}" + (f": {line}" if line else "")


DATES = ("out of range", "out of bounds", "OutOfBoundsDatetime", "Out of bounds")
FULL = Kind(
    _either(_number(errno.ENOSPC, errno.EDQUOT), _with("No space left on device", "disk is full")),
    _says("the disk is full"),
    _do("Free space there; nothing half-written is visible, and the same command goes on from where it was"),
)
KINDS: tuple[Kind, ...] = (
    Kind(
        _is(RecursionError),
        _do("a record is nested too deeply to be read"),
        _do("Look into the JSON file for brackets within brackets, and deliver flat records"),
    ),
    Kind(
        _either(
            _is(MemoryError),
            _of("duckdb", "OutOfMemoryException"),
            _of("pyarrow", "ArrowMemoryError"),
            _number(errno.ENOMEM),
        ),
        _says("there is not enough memory"),
        _do(
            "Give the engine more (engine.memory_limit_mib) or fewer threads (engine.threads), or use a larger machine"
        ),
    ),
    FULL,
    Kind(
        _with("No usable temporary directory"),
        _says("no temporary folder can be written"),
        _do("Free space there or give the right to write, or name another folder by TMPDIR"),
    ),
    Kind(
        _either(_number(errno.EACCES, errno.EPERM, errno.EROFS), _with("Permission denied", "readonly database")),
        _says("access is denied"),
        _do("Give the user who runs the stage the right to read the raw files and to write below the data root"),
    ),
    Kind(
        _number(errno.ENOENT),
        _says("a file that was there a moment ago is gone"),
        _do("Run again when nobody moves files"),
    ),
    Kind(
        _is(UnicodeDecodeError),
        _undecodable,
        _do("Set `encoding` of the source's part in conf/data/<name>.yaml, e.g. cp1252, latin-1 or utf-16"),
    ),
    Kind(
        _either(_is(OverflowError), lambda error: isinstance(error, ValueError) and _with(*DATES)(error)),
        _says("a date or a number is out of range"),
        _do(
            "Look for years such as 9999 or 0001 and for endless numbers in the file, and have them delivered as empty"
        ),
    ),
    Kind(
        _either(_is(KeyError), lambda error: LACKING_COLUMN.search(str(error)) is not None),
        _lacking,
        _do(f"{MAPPING}: columns that it names must be in the file, under the same names"),
    ),
    Kind(
        _either(_of("pyarrow"), _of("duckdb"), _of("ibis"), _with("Invalid Input Error", "Conversion Error")),
        _says("the tables' engine cannot read or compute this"),
        _do(MAPPING),
    ),
    Kind(
        _either(_of("mlflow"), _of("sqlalchemy"), _is(ConnectionError), _of("requests"), _of("urllib3")),
        _says("the tracking store or another service does not answer as it should"),
        _do("Check that MLFLOW_TRACKING_URI can be reached, then run the same command again"),
    ),
    Kind(
        _is(ImportError),
        _says("a library is missing"),
        _do("Run `make setup`, or install the extra that the page of the stage names"),
    ),
    Kind(
        _is(OSError),
        _says("the system refuses to read or write"),
        _do("Look at the file or the device it is on, then run the same command again"),
    ),
    Kind(
        lambda _: True,
        _fault,
        _do("Nothing half-done was published. See whether the files are as conf/data says; if so, report it"),
    ),
)
