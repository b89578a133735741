"""Who was erased, without saying who: keyed hashes of customers that must not be published again.

Raw files may bring an erased customer back, so landing has to know them. A list of names would keep what was to be
erased; a plain hash of an identifier as short as a customer's number can be undone by trying all of them. A keyed hash
(HMAC-SHA-256, RFC 2104) cannot, without the key.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from spanishgas.domain.identifiers import one_spelling
from spanishgas.engine.store import read_json, write_atomically
from spanishgas.errors import ConfigError, PublishError

KEY_VARIABLE = "SPANISHGAS_ERASURE_KEY"
FOLDER, LIST, KEY = "_erased", "customers.json", "key"
PROBE = "the key that the list was made with"
# What an identifier stands between in a raw line or a JSON record.
MARKS = re.compile(r"[,;|\t\"'{}\[\]:=]+")


@dataclass(frozen=True)
class Suppression:
    """Erased customers of one data set.

    Attributes:
        root: The data set's root folder.
        hashes: Keyed hashes of their identifiers.
        key: The key; empty where nobody was ever erased.
    """

    root: Path
    hashes: frozenset[str] = frozenset()
    key: bytes = b""

    @classmethod
    def of(cls, root: Path) -> "Suppression":
        """The data set's list; an empty one where nobody was ever erased.

        Raises:
            PublishError: The list cannot be read, or its key is gone.
            ConfigError: The key is not the one that the list was made with.
        """
        file = root / FOLDER / LIST
        if not file.exists():
            return cls(root)
        listed = read_json(file)
        if not isinstance(listed, Mapping) or not {"probe", "customers"} <= set(listed):
            raise PublishError(
                "the list of erased customers cannot be read", where=str(file), todo="Restore it from a backup"
            )
        key = _find_key(root)
        if key is None:
            raise PublishError(
                "there is a list of erased customers, but not its key",
                where=str(file),
                todo=f"Restore {root / FOLDER / KEY}, or set {KEY_VARIABLE}",
            )
        if not hmac.compare_digest(str(listed["probe"]), _hash(key, PROBE)):
            raise ConfigError(
                "the key is not the one that the list of erased customers was made with",
                where=KEY_VARIABLE if os.environ.get(KEY_VARIABLE) else str(root / FOLDER / KEY),
                todo="Give the first key back, or nobody on the list would be recognised",
            )
        return cls(root, frozenset(map(str, listed["customers"])), key)

    def matches(self, identifiers: Iterable[str]) -> set[str]:
        """Those of the identifiers that belong to erased customers."""
        if not self.hashes:
            return set()
        return {one for one in identifiers if _hash(self.key, one) in self.hashes}

    def named_in(self, text: str) -> bool:
        """Whether a raw line or record names an erased customer, as a field or a word of its own."""
        fields = {field.strip() for field in MARKS.split(text)}
        words = {word for field in fields for word in (field, *field.split()) if word}
        return bool(self.matches(words | {one_spelling(word, "folded") or word for word in words}))

    def digest_of(self, identifiers: Iterable[str]) -> str:
        """Digest of some erased customers that does not tell who they are."""
        return hashlib.sha256("\n".join(sorted(_hash(self.key, one) for one in identifiers)).encode()).hexdigest()

    def including(self, identifiers: Iterable[str]) -> "Suppression":
        """The list with more customers; nothing is saved, but the key is made where there is none."""
        key = self.key or _find_key(self.root) or secrets.token_bytes(32)
        return Suppression(self.root, self.hashes | {_hash(key, one) for one in identifiers}, key)

    def without(self, identifiers: Iterable[str]) -> "Suppression":
        """The list with fewer customers; nothing is saved."""
        return Suppression(self.root, self.hashes - {_hash(self.key, one) for one in identifiers}, self.key)

    def save(self) -> None:
        """Puts the list in place of the one before; a key that is not in the environment is kept beside it."""
        folder = self.root / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / KEY
        if not os.environ.get(KEY_VARIABLE) and not file.exists():
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
                handle.write(self.key.hex())
        listed = {"probe": _hash(self.key, PROBE), "customers": sorted(self.hashes)}
        write_atomically(folder / LIST, json.dumps(listed, indent=1) + "\n")


def _find_key(root: Path) -> bytes | None:
    given = os.environ.get(KEY_VARIABLE)
    if given:
        return given.encode()
    file = root / FOLDER / KEY
    return bytes.fromhex(file.read_text(encoding="utf-8").strip()) if file.is_file() else None


def _hash(key: bytes, identifier: str) -> str:
    return hmac.new(key, identifier.strip().encode(), hashlib.sha256).hexdigest()
