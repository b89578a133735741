"""A smaller copy of the raw files, on which a configuration is tried; and what became of its rows."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from spanishgas.onboarding.looking import encoding_is_wide
from spanishgas.readers import detect_format, is_packed

SHOWN_REASONS = 4


@dataclass(frozen=True)
class Sample:
    """A copy of a raw folder.

    Attributes:
        folder: The copy: small files as links, large ones cut.
        cut: Files that are not whole in it.
    """

    folder: Path
    cut: tuple[str, ...]


def copy_sample(raw: Path, folder: Path, mib: int) -> Sample:
    """Copies a raw folder with so much of each large file: its first rows, under the same name.

    Only plain CSV and Parquet can be cut; archives, workbooks and JSON are read whole.

    Args:
        raw: The raw folder.
        folder: The copy, which is made.
        mib: Size from which a file is cut.
    """
    cut = []
    for path in sorted(path for path in raw.rglob("*") if path.is_file()):
        name = path.relative_to(raw)
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        kind = None if is_packed(path.name) else detect_format(path.name)
        if path.stat().st_size > mib << 20 and kind == "csv" and not encoding_is_wide(path):
            with path.open("rb") as handle:
                target.write_bytes(handle.read(mib << 20) + handle.readline())
            cut.append(name.as_posix())
        elif path.stat().st_size > mib << 20 and kind == "parquet":
            _cut_parquet(path, target, mib)
            cut.append(name.as_posix())
        else:
            target.symlink_to(path.resolve())
    return Sample(folder, tuple(cut))


def _cut_parquet(path: Path, target: Path, mib: int) -> None:
    """The first rows of a Parquet file, about in proportion to the size that is asked for."""
    source = pq.ParquetFile(path)
    left = int(source.metadata.num_rows * (mib << 20) / path.stat().st_size)
    with pq.ParquetWriter(target, source.schema_arrow) as writer:
        for batch in source.iter_batches():
            writer.write_batch(batch.slice(0, left))
            left -= batch.num_rows
            if left <= 0:
                return


def outcome_of(quality: pd.DataFrame, quarantine: pd.DataFrame) -> list[str]:
    """What became of a sample's rows, one line per source and reason of the quarantine.

    Args:
        quality: The silver table `quality`.
        quarantine: The silver table `quarantine`.
    """
    rows = quality.groupby("source")["rows"].max()
    lines = []
    for source, read in rows[rows > 0].items():
        mine = quarantine[quarantine["source"] == source]
        concerned = len(mine.drop_duplicates(["source_file", "source_line"]))
        share = f" ({concerned / read:.2%})" if read and concerned else ""
        lines.append(f"{source}: {int(read):,} rows read, {concerned:,} of them in quarantine{share}")
        for reason, found in list(mine.groupby("reason"))[:SHOWN_REASONS]:
            example = found["detail"].dropna()
            shown = f", e.g. {example.iloc[0]!r}" if len(example) else ""
            lines.append(f"  {reason}: {len(found):,} rows{shown}")
    return lines
