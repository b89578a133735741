"""Both engines give the same rows, where SQL of both means different things by the same words, too."""

import math
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spanishgas.domain.point_in_time import days_between
from spanishgas.engine.chunks import Chunk
from spanishgas.engine.counts import check_by_counts
from spanishgas.engine.dialect import java_pattern
from spanishgas.engine.session import Engine, open_engine
from spanishgas.engine.spark import FIXED, SparkEngine
from spanishgas.errors import ConfigError, ContractError, PublishError, SourceError, WorkerError
from spanishgas.features import lexicon
from spanishgas.features.interactions import tone
from tests.contracts.test_contracts import TOY
from tests.spark import embedded, needs_spark, odd_folder, on_spark

pytestmark = needs_spark
NOTES = [
    "queja por una factura indebida",
    "más barato en otra compañía; caro",
    "no está satisfecho, muy molesto",
    "renovación: gracias, excelente",
    "información sin resolver, pendiente",
    "CANCELAR la baja del contrato",
    "añade mal, malo, mala; nada cordial",
    "billing wrongly charged; not happy",
    "",
    None,
    "óptimo péssimo pésimo ñ",
    "costs $5 \\1",
]
TABLE = pa.table(
    {
        "id": pa.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], pa.int64()),
        "who": ["a", "a", "a", "b", "b", "b", "c", "c", "d", "d", None, "ñ"],
        "text": NOTES,
        "n": pa.array([1, 2, None, 4, 5, 7, None, None, 3, -7, 0, 9], pa.int64()),
        "x": pa.array([0.1, None, 2.5, -0.5, float("nan"), 1.5, None, None, 1e15, 3.3, 0.0, -2.5], pa.float64()),
        "day": pa.array(
            [date(2024, 3, 31), date(2024, 2, 29), date(1970, 1, 1), None, date(2024, 12, 31), date(2024, 10, 27),
             date(1, 1, 2), date(9999, 12, 31), date(2023, 3, 26), date(2024, 1, 1), date(2024, 7, 1), None]
        ),
        "at": pa.array([1_711_850_400_000_000 + hour * 60_000_000 for hour in range(11)] + [None], pa.timestamp("us")),
        "flag": [True, False, None, True, True, False, False, None, True, False, None, True],
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Engine]]:
    folder = tmp_path_factory.mktemp("engines")
    with open_engine(embedded(), folder / "duckdb") as one, open_engine(on_spark(), folder / "spark") as two:
        yield one, two


def both(engines: tuple[Engine, Engine], change: Callable[[ir.Table], ir.Table]) -> list[pd.DataFrame]:
    frames = []
    for engine in engines:
        found = engine.frame(change(engine.table(TABLE)))
        frames.append(found.sort_values(list(found.columns)[:2]).reset_index(drop=True))
    return frames


CASES: dict[str, Callable[[ir.Table], ir.Table]] = {
    "first and last by an order, nulls passed over": lambda t: t.group_by("who").aggregate(
        last=t.n.last(order_by=t.id),
        first=t.x.first(order_by=[t.day, t.id]),
        some=t.n.last(where=t.flag, order_by=t.id),
    ),
    "not a number is no null": lambda t: t.select(
        "id", null=t.x.isnull(), known=t.x.notnull(), filled=t.x.fill_null(7.0)
    ),
    "medians of even and odd counts": lambda t: t.group_by("who").aggregate(
        middle=t.n.median(), some=t.n.median(where=t.flag)
    ),
    "counts without rows": lambda t: t.group_by("who").aggregate(
        rows=t.count(where=t.n > 100), known=t.n.count(), flags=(t.n > 3).sum()
    ),
    "division is of doubles": lambda t: t.select(
        "id", a=t.n / 3, b=t.n.cast("float64") / 2160.0, c=t.x / t.n.nullif(0), d=t.n / 24.0
    ),
    "rounding": lambda t: t.select(
        "id",
        a=(t.x.nullif(math.nan) * 1e3).round().cast("int64"),
        b=t.x.nullif(math.nan).round().cast("int64"),
        c=t.n // 2,
    ),
    "civil days": lambda t: t.select(
        "id",
        month=t.day.truncate("M").cast("date"),
        weekday=t.day.day_of_week.index(),
        gap=days_between(ibis.literal(date(2024, 11, 30)), t.day),
        next=(t.day - ibis.interval(days=1)).cast("date"),
        label=t.day.strftime("%Y-%m"),
        of=t.at.date(),
    ),
    "comparisons of days": lambda t: t.filter(t.day >= date(2024, 1, 1)).select("id", new=t.day > date(2024, 6, 1)),
    "least and greatest pass over nulls": lambda t: t.select(
        "id", a=ibis.greatest(t.n, 3), b=ibis.least(t.day, ibis.literal(date(2024, 5, 1)))
    ),
    "windows, nulls last": lambda t: t.mutate(
        place=ibis.row_number().over(group_by="who", order_by=[t.n.desc(), t.id]),
        up=ibis.row_number().over(group_by="who", order_by=[t.day, t.id]),
        before=t.n.lag().over(ibis.window(group_by="who", order_by="id")),
        later=t.n.min().over(ibis.window(group_by="who", order_by="id", rows=(1, None))),
    ),
    "texts": lambda t: t.select(
        "id", a=t.text.fill_null("").lower(), b=t.text.length(), c=t.text.nullif("").strip(), d=t.who + "x"
    ),
    "white space around texts": lambda t: t.select(
        "id",
        **{
            f"of{number}": ibis.literal(text).strip()
            for number, text in enumerate(("fava", " \f\v\tvalf\n\r ", "\f", "a\\f'b\\\\v", "\a\bé\a"))
        },
    ),
    "digests of texts": lambda t: t.select(
        "id", a=t.text.hexdigest("md5").substr(0, 8), b=t.text.hexdigest("md5") < "8"
    ),
    "joins on nulls": lambda t: (
        t.left_join(t.view().select("who", other="id"), "who").drop("who_right").select("id", "other", "who")
    ),
    "union and distinct": lambda t: t.select("who").union(t.select("who"), distinct=True).mutate(other=1),
}  # fmt: skip


@pytest.mark.parametrize("case", list(CASES))
def test_an_expression_means_the_same(engines: tuple[Engine, Engine], case: str) -> None:
    one, two = both(engines, CASES[case])
    assert len(one)
    pd.testing.assert_frame_equal(one, two, check_exact=True)


@pytest.mark.parametrize(
    "pattern", [*lexicon.INTENTS.values(), lexicon.UNRESOLVED, lexicon.NEGATED, r"^[ab]\b", r"\\b"]
)
def test_words_are_found_by_the_same_letters(engines: tuple[Engine, Engine], pattern: str) -> None:
    one, two = both(
        engines,
        lambda t: t.select(
            "id",
            found=t.text.fill_null("").lower().re_search(pattern),
            without=t.text.fill_null("").re_replace(pattern, "<$1\\0>"),
        ),
    )
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize("pattern", [r"\b(\w+)ción\b", r"(factura|compañ)(\w?)", r"^(cos)ts"])
def test_groups_of_patterns_are_the_same(engines: tuple[Engine, Engine], pattern: str) -> None:
    one, two = both(
        engines,
        lambda t: t.select("id", whole=t.text.re_extract(pattern, 0), first=t.text.re_extract(pattern, 1)),
    )
    assert one["first"].fillna("").ne("").any()
    pd.testing.assert_frame_equal(one, two)


def test_the_tone_of_notes_is_the_same(engines: tuple[Engine, Engine]) -> None:
    one, two = both(engines, lambda t: t.select("id", tone=tone(t.text.fill_null("").lower())))
    assert one["tone"].nunique() > 2
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_a_boundary_is_one_of_ascii_letters() -> None:
    assert java_pattern(r"a\\b\d\x{00a0}") == r"a\\b\d\x{00a0}"
    assert r"\b" not in java_pattern(r"\bcaro\b")


def test_values_are_carried_forward(engines: tuple[Engine, Engine]) -> None:
    found = [
        engine.frame(engine.carried_forward(engine.table(TABLE), ["n", "x"], within=["who"], order="id")).sort_values(
            "id"
        )
        for engine in engines
    ]
    assert found[0]["n_carried"].notna().sum() > found[0]["n"].notna().sum()
    pd.testing.assert_frame_equal(*(one.reset_index(drop=True) for one in found))


def test_rows_know_their_file_and_line_whatever_it_is_called(engines: tuple[Engine, Engine], tmp_path: Path) -> None:
    folder = odd_folder(tmp_path)
    files = [folder / name for name in ("x y.parquet", "ñ=%3D.parquet", "p+q,'z.parquet", "h#a;b&c.parquet")]
    for place, file in enumerate(files):
        # Of one type in some files and of another in others; a column that only some have.
        columns = {"a": [place, place]} if place < 2 else {"a": [place + 0.5, None], "b": ["q", None]}
        pq.write_table(pa.table(columns), file)
    found = [
        engine.frame(engine.scan(files, origins=["one", "two", "three", "four"]).order_by("source_file", "source_line"))
        for engine in engines
    ]
    assert list(found[1]["source_file"]) == ["four", "four", "one", "one", "three", "three", "two", "two"]
    pd.testing.assert_frame_equal(*found)


def test_tables_are_written_sorted_and_alike(
    engines: tuple[Engine, Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = set()
    for engine in engines:
        file = tmp_path / type(engine).__name__ / "00000.parquet"
        file.parent.mkdir()
        files = engine.write(engine.table(TABLE), file, order_by=["day", "id"])
        assert files == [file]
        written = pq.read_table(file)
        assert written["id"].to_pylist() == [6, 2, 8, 9, 1, 0, 10, 5, 4, 7, 3, 11]
        assert [str(field.type) for field in written.schema] == [str(field.type) for field in TABLE.schema]
        digests.add(engine.content_hash(files))
        assert engine.column_types(file)["day"] == "DATE"
    assert len(digests) == 1
    monkeypatch.setattr("spanishgas.engine.spark.ROWS_PER_FILE", 5)
    spark = engines[1]
    spark._spark.conf.set("spark.sql.adaptive.coalescePartitions.enabled", "false")
    try:
        files = spark.write(spark.table(TABLE), tmp_path / "parts" / "00000.parquet", order_by=["id"])
    finally:
        spark._spark.conf.set("spark.sql.adaptive.coalescePartitions.enabled", "true")
    assert len(files) > 1
    assert [one for file in files for one in pq.read_table(file)["id"].to_pylist()] == list(range(12))
    assert {spark.content_hash(files)} == digests
    assert sorted(file.name for file in (tmp_path / "parts").iterdir()) == sorted(file.name for file in files)


def test_nothing_is_written_as_nothing(engines: tuple[Engine, Engine], tmp_path: Path) -> None:
    digests = set()
    for engine in engines:
        none = engine.table(TABLE).filter(ibis.literal(False))
        files = engine.write(none, tmp_path / f"{type(engine).__name__}.parquet", order_by=["id"])
        digests.add(engine.content_hash(files))
        assert engine.frame(engine.scan(files)).empty
        assert engine.frame(engine.materialize(none)).empty
    assert len(digests) == 1


class _Doubling:
    def __call__(self, engine: Engine, table: ir.Table) -> ir.Table:
        return table.mutate(twice=table.a * 2, trimmed=table.source_file.upper())


class _Rising:
    def __call__(self, chunk: Chunk) -> tuple[pa.Table, int]:
        rows = pa.table({"a": chunk.batch["a"]})
        return rows, rows.num_rows


class _Failing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, engine: Engine, part: int) -> int:
        if part == 2:
            raise self.error
        return part


def test_rows_are_changed_one_by_one_and_chunks_go_through_a_function(
    engines: tuple[Engine, Engine], tmp_path: Path
) -> None:
    files = [tmp_path / f"{place}.parquet" for place in range(3)]
    for place, file in enumerate(files):
        pq.write_table(pa.table({"a": list(range(place * 10, place * 10 + 4))}), file, row_group_size=3)
    changed, made = [], []
    for engine in engines:
        scanned = engine.scan(files, origins=["one", "two", "three"])
        changed.append(engine.frame(engine.map_rows(scanned, _Doubling()).order_by("a")))
        heard: list[tuple[int, int]] = []
        hear = heard.append
        rows = engine.map_to_table(
            scanned, ["a"], _Rising(), pa.schema([("a", pa.int64())]), lambda told, done, hear=hear: hear((told, done))
        )
        made.append(engine.frame(rows.order_by("a")))
        assert sum(told for told, _ in heard) == heard[-1][1] == 12
    pd.testing.assert_frame_equal(*changed)
    pd.testing.assert_frame_equal(*made)
    steps = [
        engine.frame(engine.map_rows(engine.table(TABLE).select("id", source_file="who", a="n"), _Doubling()))
        for engine in engines
    ]
    pd.testing.assert_frame_equal(*(one.sort_values("id").reset_index(drop=True) for one in steps))


def test_partitions_answer_in_their_order_and_errors_are_those_of_the_work(engines: tuple[Engine, Engine]) -> None:
    spark = engines[1]
    assert list(spark.map_partitions([4, 3, 1], _Failing(ValueError("x")))) == [4, 3, 1]
    with pytest.raises(SourceError, match="no such row"):
        list(spark.map_partitions([1, 2, 3], _Failing(SourceError("no such row", where="here"))))
    with pytest.raises(WorkerError, match="failed"):
        list(spark.map_partitions([1, 2, 3], _Failing(ZeroDivisionError("oh"))))
    with pytest.raises(PublishError, match="no file"):
        spark.scan([])


def test_a_session_is_told_what_expressions_mean_whatever_it_was_told_before(
    engines: tuple[Engine, Engine], tmp_path: Path
) -> None:
    spark = engines[1]
    assert isinstance(spark, SparkEngine)
    conf = spark._spark.conf
    others = {"spark.sql.ansi.enabled": "true", "spark.sql.session.timeZone": "America/Los_Angeles"}
    for name, value in others.items():
        conf.set(name, value)
    with open_engine(on_spark(), tmp_path) as other:
        assert other.integer(other.table(TABLE).count()) == TABLE.num_rows
    assert {name: conf.get(name) for name in FIXED} == FIXED
    # Inside one process nobody else talks to it, and it does not compile twice.
    told = dict(spark._spark.sparkContext.getConf().getAll())
    assert told["spark.driver.host"] == told["spark.driver.bindAddress"] == "127.0.0.1"
    assert "-XX:TieredStopAtLevel=1" in told["spark.driver.extraJavaOptions"]


def test_workers_that_see_no_scratch_folder_are_refused(
    engines: tuple[Engine, Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = engines[1]
    assert isinstance(one, SparkEngine)
    other = SparkEngine(on_spark(), tmp_path / "scratch")
    other._require_shared_folder(one._spark)
    assert not list((tmp_path / "scratch").iterdir())
    # A folder that this machine has and the workers do not: they look for the file once it is gone again.
    monkeypatch.setattr("pathlib.Path.touch", lambda _: None)
    with pytest.raises(ConfigError, match=r"workers do not see .*scratch.*storage\.cache"):
        other._require_shared_folder(one._spark)


def test_contracts_are_checked_alike(engines: tuple[Engine, Engine]) -> None:
    told = []
    for engine in engines:
        with pytest.raises(ContractError) as raised:
            check_by_counts(engine, TOY, engine.table(TABLE))
        told.append(str(raised.value))
    assert told[0] == told[1]
