"""Where a data set is published: a folder, or an address in an object store."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator

SCHEMES = ("s3", "gs", "az", "abfs", "abfss", "memory")
HAS_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
# Names of objects are joined to the address as they are; what needs escaping in some store is not allowed in it.
PLAIN = re.compile(r"[A-Za-z0-9._=@/-]+")


class ObjectAddress(str):
    """The address of a data root in an object store: ``s3://bucket/prefix``, without a slash at its end.

    Raises:
        ValueError: The kind of address is not known, it names no bucket, or it holds credentials or options.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> "ObjectAddress":
        """Checks and trims an address."""
        found = HAS_SCHEME.match(text)
        scheme = found[1].lower() if found else ""
        rest = text[found.end() :].rstrip("/") if found else ""
        if scheme not in SCHEMES:
            # Not quoted: an address of another kind may hold a password.
            raise ValueError(f"an address begins with one of {', '.join(f'{one}://' for one in (*SCHEMES, 'file'))}")
        bucket = rest.partition("/")[0]
        if ("@" in bucket and not scheme.startswith("abfs")) or ":" in bucket or "?" in rest:
            raise ValueError(
                "an address names a bucket and a prefix only: credentials and options come from the environment "
                "(docs/object_storage.md)"
            )
        parts = rest.split("/")
        if not bucket or not PLAIN.fullmatch(rest) or any(part in ("", ".", "..") for part in parts):
            raise ValueError(
                f"an address is {scheme}://BUCKET/PREFIX, of letters, digits and the marks . _ = - only, without empty "
                "parts"
            )
        return super().__new__(cls, f"{scheme}://{rest}")

    @property
    def scheme(self) -> str:
        """Kind of store: ``s3``, ``gs``, ``abfss`` and others."""
        return self.partition("://")[0]

    @property
    def bucket(self) -> str:
        """The bucket, or ``container@account.host`` of Azure."""
        return self.partition("://")[2].partition("/")[0]

    @property
    def prefix(self) -> str:
        """What stands before the names of all objects, without slashes around it; may be empty."""
        return self.partition("://")[2].partition("/")[2]

    @property
    def name(self) -> str:
        """Last part of the address, as a folder has a name."""
        return self.rpartition("/")[2]

    def below(self, *parts: str) -> "ObjectAddress":
        """An address below this one."""
        return ObjectAddress("/".join((self, *parts)))


Place = Path | ObjectAddress


def place_of(value: Any) -> Place:
    """A folder or an address, from what was typed; ``file:///folder`` is a folder.

    Raises:
        ValueError: It is no text and no path, or no address that is known.
    """
    if isinstance(value, Path | ObjectAddress):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError("a folder, or an address such as s3://bucket/prefix")
    if value.startswith("file://"):
        return Path(value.removeprefix("file://"))
    return ObjectAddress(value) if HAS_SCHEME.match(value) else Path(value)


def below(place: Place, *parts: str) -> Place:
    """A place below another one."""
    return place.below(*parts) if isinstance(place, ObjectAddress) else place.joinpath(*parts)


def inside(place: Place, outer: Place) -> Sequence[str] | None:
    """Names that lead from one place to another below it; None where it is not below it."""
    if isinstance(place, ObjectAddress) != isinstance(outer, ObjectAddress):
        return None
    if isinstance(place, ObjectAddress) or isinstance(outer, ObjectAddress):
        rest = str(place).removeprefix(f"{outer}/")
        return None if rest == str(place) else rest.split("/")
    return place.relative_to(outer).parts if place.is_relative_to(outer) else None


DataPlace = Annotated[Place, PlainValidator(place_of), PlainSerializer(str, return_type=str)]
