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
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spanishgas.config.places import Place
from spanishgas.domain.identifiers import one_spelling
from spanishgas.engine.storage import Storage, storage_at
from spanishgas.errors import ConfigError, LostRaceError, PublishError

if TYPE_CHECKING:
    import pandas as pd

KEY_VARIABLE = "SPANISHGAS_ERASURE_KEY"
FOLDER, LIST, KEY = "_erased", "customers.json", "key"
NAME, KEY_NAME = f"{FOLDER}/{LIST}", f"{FOLDER}/{KEY}"
CUSTOMER = "customer_id"
# How a customer is called on runs. 80 bits of the hash: two of ten million are called alike with a chance of 4e-11.
PSEUDONYM, PSEUDONYM_LETTERS, UNNAMED = "p-", 20, "p-unknown"
PROBE = "the key that the list was made with"
# What an identifier stands between in a raw line or a JSON record.
MARKS = re.compile(r"[,;|\t\"'{}\[\]:=]+")


@dataclass(frozen=True)
class Suppression:
    """Erased customers of one data set.

    Attributes:
        root: The data set's root, or the door to what is stored there.
        hashes: Keyed hashes of their identifiers.
        key: The key; empty where nobody was ever erased.
    """

    root: Place | Storage
    hashes: frozenset[str] = frozenset()
    key: bytes = b""

    @classmethod
    def of(cls, root: Place | Storage) -> "Suppression":
        """The data set's list; an empty one where nobody was ever erased.

        Raises:
            PublishError: The list cannot be read, or its key is gone.
            ConfigError: The key is not the one that the list was made with.
        """
        storage = storage_at(root)
        file, kept_key = f"{storage.place}/{NAME}", f"{storage.place}/{KEY_NAME}"
        content = storage.get(NAME)
        if content is None:
            return cls(storage)
        try:
            listed = json.loads(content.data)
        except ValueError:
            listed = None
        if not isinstance(listed, Mapping) or not {"probe", "customers"} <= set(listed):
            raise PublishError(
                "the list of erased customers cannot be read", where=file, todo="Restore it from a backup"
            )
        key = _find_key(storage)
        if key is None:
            raise PublishError(
                "there is a list of erased customers, but not its key",
                where=file,
                todo=f"Restore {kept_key}, or set {KEY_VARIABLE}",
            )
        if not hmac.compare_digest(str(listed["probe"]), _hash(key, PROBE)):
            raise ConfigError(
                "the key is not the one that the list of erased customers was made with",
                where=KEY_VARIABLE if os.environ.get(KEY_VARIABLE) else kept_key,
                todo="Give the first key back, or nobody on the list would be recognised",
            )
        return cls(storage, frozenset(map(str, listed["customers"])), key)

    def matches(self, identifiers: Iterable[str]) -> set[str]:
        """Those of the identifiers that belong to erased customers."""
        if not self.hashes:
            return set()
        return {one for one in identifiers if _hash(self.key, one) in self.hashes}

    def pseudonyms_in(self, words: Iterable[str]) -> set[str]:
        """Those of the words that stand for an erased customer on a run, see ``Pseudonyms``."""
        known = {PSEUDONYM + one[:PSEUDONYM_LETTERS] for one in self.hashes}
        return {word for word in words if word.startswith(PSEUDONYM) and word in known}

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
        key = self.key or _find_key(storage_at(self.root)) or secrets.token_bytes(32)
        return Suppression(self.root, self.hashes | {_hash(key, one) for one in identifiers}, key)

    def without(self, identifiers: Iterable[str]) -> "Suppression":
        """The list with fewer customers; nothing is saved."""
        return Suppression(self.root, self.hashes - {_hash(self.key, one) for one in identifiers}, self.key)

    def save(self) -> None:
        """Puts the list in place of the one before; a key that is not in the environment is kept beside it."""
        storage = storage_at(self.root)
        if not os.environ.get(KEY_VARIABLE) and storage.size(KEY_NAME) is None:
            _make_key(storage, self.key)
        listed = {"probe": _hash(self.key, PROBE), "customers": sorted(self.hashes)}
        storage.put(NAME, (json.dumps(listed, indent=1) + "\n").encode())


@dataclass(frozen=True)
class Pseudonyms:
    """What runs say instead of a customer: the first letters of the keyed hash that a list of erased customers has.

    Who has the key finds the row of a customer, and an erasure finds it by the list; nobody else finds anything.

    Attributes:
        key: The key; empty where a list was made with a key that is not here: then nobody is called anything.
    """

    key: bytes

    @classmethod
    def of(cls, root: Place | Storage) -> "Pseudonyms":
        """Those of a data set; its key is made where there is none yet.

        Args:
            root: The data set's root, or the door to what is stored there.
        """
        storage = storage_at(root)
        key = _find_key(storage)
        if key is None and storage.size(NAME) is None:
            key = _make_key(storage, secrets.token_bytes(32))
        return cls(key or b"")

    def of_customer(self, identifier: object) -> str:
        """What a customer is called on runs."""
        return PSEUDONYM + _hash(self.key, str(identifier))[:PSEUDONYM_LETTERS] if self.key else UNNAMED

    def without_names(self, table: "pd.DataFrame") -> "pd.DataFrame":
        """A table with the column ``pseudonym`` in the place of ``customer_id``; any other table as it is."""
        if CUSTOMER not in table.columns:
            return table
        told = table.assign(**{CUSTOMER: [self.of_customer(one) for one in table[CUSTOMER]]})
        return told.rename(columns={CUSTOMER: "pseudonym"})


def _make_key(storage: Storage, key: bytes) -> bytes:
    """Keeps a key, in a folder in a file that only its owner can read, unless another was faster; returns what is kept.

    In an object store who can read it is up to the store: KEY_VARIABLE keeps it elsewhere.
    """
    if storage.is_remote:
        with suppress(LostRaceError):
            storage.put_if(KEY_NAME, key.hex().encode(), None)
            return key
        return _find_key(storage) or key
    file = storage.root / FOLDER / KEY
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{KEY}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(key.hex())
    try:
        os.link(draft, file)
    except FileExistsError:
        return bytes.fromhex(file.read_text(encoding="utf-8").strip())
    finally:
        draft.unlink()
    return key


def _find_key(storage: Storage) -> bytes | None:
    given = os.environ.get(KEY_VARIABLE)
    if given:
        return given.encode()
    found = storage.get(KEY_NAME)
    return None if found is None else bytes.fromhex(found.data.decode().strip())


def _hash(key: bytes, identifier: str) -> str:
    return hmac.new(key, identifier.strip().encode(), hashlib.sha256).hexdigest()
