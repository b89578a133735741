"""A data root is a folder or an address; addresses hold no secrets and name what they mean."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from pipelines._entry import load_settings
from spanishgas.config.places import DataPlace, ObjectAddress, below, inside
from spanishgas.errors import ConfigError

PLACE: TypeAdapter[Path | ObjectAddress] = TypeAdapter(DataPlace)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("data", Path("data")),
        ("/srv/data", Path("/srv/data")),
        ("file:///srv/data", Path("/srv/data")),
        ("s3://tables", ObjectAddress("s3://tables")),
        ("S3://tables/retailer/", ObjectAddress("s3://tables/retailer")),
        ("gs://tables/a/b", ObjectAddress("gs://tables/a/b")),
        ("abfss://box@account.dfs.core.windows.net/a", ObjectAddress("abfss://box@account.dfs.core.windows.net/a")),
    ],
)
def test_a_text_is_the_folder_or_the_address_that_it_names(typed: str, meant: Path | ObjectAddress) -> None:
    found = PLACE.validate_python(typed)
    assert (found, type(found)) == (meant, type(meant))
    assert PLACE.validate_json(PLACE.dump_json(found)) == found


@pytest.mark.parametrize(
    "typed",
    [
        "ftp://tables/x",
        "https://tables.example/x",
        "s3://",
        "s3://user:a-password@tables/x",
        "s3://a-password@tables/x",
        "s3://tables/x?key=a-password",
        "s3://tables/../x",
        "s3://tables//x",
        "s3://tables/a b",
        "s3://tables/a#b",
        "",
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(typed: str) -> None:
    with pytest.raises(ValidationError) as told:
        PLACE.validate_python(typed)
    assert all("a-password" not in one["msg"] for one in told.value.errors())


def test_places_below_places() -> None:
    root = ObjectAddress("s3://tables/retailer")
    assert below(root, "replays", "one") == "s3://tables/retailer/replays/one"
    assert inside(below(root, "raw", "current"), root) == ["raw", "current"]
    assert inside(ObjectAddress("s3://tables/retailer2"), root) is None
    assert inside(Path("data/raw"), root) is None
    assert inside(Path("data/raw/current"), Path("data")) == ("raw", "current")
    assert (root.scheme, root.bucket, root.prefix, root.name) == ("s3", "tables", "retailer", "retailer")


def test_settings_take_an_address_and_what_goes_with_it() -> None:
    told = load_settings(
        ("data_root=s3://tables/x", "storage.cache=/fast/disk", "storage.as_published='2026-02-09T08:00+01:00'")
    )
    assert told.data.root == ObjectAddress("s3://tables/x")
    assert told.data.raw == ObjectAddress("s3://tables/x/raw/current")
    assert told.storage.cache == Path("/fast/disk")
    assert told.storage.as_published == datetime(2026, 2, 9, 7, tzinfo=UTC)
    other = load_settings(("data=powerco", "data_root=s3://tables/x"))
    assert other.data.root == ObjectAddress("s3://tables/x/powerco")
    assert isinstance(other.data.raw, Path)


@pytest.mark.parametrize(
    "wrong",
    ["data.raw=s3://tables/raw", "data_root=ftp://tables", "storage.as_published='2026-02-09T08:00'"],
)
def test_settings_that_cannot_be_are_told(wrong: str) -> None:
    with pytest.raises(ConfigError, match="a value is not allowed"):
        load_settings((wrong,))
