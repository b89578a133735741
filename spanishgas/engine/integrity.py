"""Whether files are still what was published: a digest that is taken once and checked when a file is first read.

SHA-256, because processors have instructions for it and nothing else in the standard library is both as fast and as
sure; what it costs stands in docs/RELIABILITY.md.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

SEAL = "seal"
# Path -> state in which a file was found sound. A process looks at the bytes of each state of a file once.
_sound: dict[str, tuple[int, int, int, str]] = {}


def digest_of(file: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with file.open("rb", buffering=0) as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def is_sound(file: Path, size: int, digest: str) -> bool:
    """Whether a file has the bytes that it was published with.

    Args:
        file: The file; it may be gone.
        size: Its bytes when it was published.
        digest: Their digest, see ``digest_of``.

    Raises:
        OSError: It is there and cannot be read.
    """
    try:
        status = file.stat()
    except FileNotFoundError:
        return False
    state = (status.st_size, status.st_mtime_ns, status.st_ino, digest)
    if _sound.get(os.fspath(file)) == state:
        return True
    if status.st_size != size or digest_of(file) != digest:
        return False
    _sound[os.fspath(file)] = state
    return True


def sealed(text: str) -> str:
    """A JSON object with a digest of all that it says, as one more of its fields."""
    told: dict[str, Any] = json.loads(text)
    told[SEAL] = _seal(told)
    return json.dumps(told, indent=1, ensure_ascii=False)


def is_unbroken(told: dict[str, Any]) -> bool:
    """Whether a JSON object says what it was sealed with; one that was never sealed is believed."""
    return SEAL not in told or told[SEAL] == _seal(told)


def _seal(told: dict[str, Any]) -> str:
    rest = {name: value for name, value in told.items() if name != SEAL}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
