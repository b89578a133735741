"""Which encoding a text file is written in, where it does not say so by a mark."""

import codecs
import lzma
import zipfile
import zlib
from pathlib import Path

from spanishgas.readers import opened

READ_BYTES = 1 << 20
MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
# Characters beyond ASCII that Spanish files hold; read in a wrong encoding they become others.
SPANISH = frozenset("áéíóúüñçÁÉÍÓÚÜÑÇàèòïÀÈÒÏ¿¡ºª€³²·«»")
OLD = ("cp1252", "cp850")


def encoding_of(file: Path, member: str | None = None) -> str | None:
    """The encoding to name in the configuration; None where UTF-8 or a byte order mark says it.

    Args:
        file: A file of text, packed or not, or an archive.
        member: Its path in a zip archive, or None.
    """
    begin = begin_of(file, member)
    if begin.startswith(MARKS):
        return None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(begin, final=len(begin) < READ_BYTES)
        return None
    except UnicodeDecodeError:
        pass
    best = max(OLD, key=lambda name: _spanish(begin, name))
    return best if _spanish(begin, best) else "latin-1"


def begin_of(file: Path, member: str | None = None) -> bytes:
    """The first bytes of a file of text, unpacked; nothing where it cannot be unpacked, which its reader will tell."""
    try:
        if member is not None:
            with zipfile.ZipFile(file) as archive, archive.open(member) as packed:
                return packed.read(READ_BYTES)
        with file.open("rb") as handle:
            return opened(file, handle).read(READ_BYTES)
    except (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error, lzma.LZMAError):
        return b""


def _spanish(text: bytes, encoding: str) -> float:
    """Share of the characters beyond ASCII that Spanish has; nothing where the bytes are no text in this encoding."""
    try:
        beyond = [char for char in text.decode(encoding) if char > "\x7f"]
    except UnicodeDecodeError:
        return 0.0
    return sum(char in SPANISH for char in beyond) / len(beyond) if beyond else 0.0
