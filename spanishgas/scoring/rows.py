"""Rows of a keyed table as a model and a response take them: numbers without a frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from spanishgas.engine.keyed import MISSING, Floats, KeyedTable
from spanishgas.errors import ContractError

if TYPE_CHECKING:
    from spanishgas.models.encoding import Encoding

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RowEncoder:
    """A model's encoding, laid over the columns of one keyed table.

    Attributes:
        table: The table.
        plain: Positions in the row of the columns of numbers.
        sources: Where each of them stands in the table.
        words: Position in the row, column of the table, and the model's code of each of the table's words.
        width: Columns of a row.
    """

    table: KeyedTable
    plain: Ints
    sources: Ints
    words: tuple[tuple[int, int, Floats], ...]
    width: int

    @classmethod
    def of(cls, encoding: "Encoding", table: KeyedTable) -> "RowEncoder":
        """Lays an encoding over a table.

        Raises:
            ContractError: Features of the model are not in the table.
        """
        texts = list(table.vocabularies)
        lacking = [name for name in encoding.names if name not in table.number_names and name not in texts]
        if lacking:
            raise ContractError(
                "features that the model was trained on are missing",
                where="published features",
                count=len(lacking),
                examples=lacking,
                todo="Run `features` with the code that trained the champion, or train again",
            )
        plain = [place for place, name in enumerate(encoding.names) if name in table.number_names]
        words = []
        for place, name in enumerate(encoding.names):
            if name in texts:
                codes = {word: float(code) for code, word in enumerate(encoding.words.get(name, ()))}
                # The last one stands for null, which is position -1.
                known = [codes.get(word, np.nan) for word in table.vocabularies[name]]
                words.append((place, texts.index(name), np.array([*known, np.nan])))
        sources = table.number_places([encoding.names[place] for place in plain])
        return cls(table, np.array(plain, np.int64), sources, tuple(words), len(encoding.names))

    def numbers(self, rows: Ints) -> Floats:
        """Encoded rows, as ``Encoding.numbers`` gives them of a frame, shape (rows, features)."""
        found = np.empty((len(rows), self.width))
        found[:, self.plain] = self.table.numbers[rows][:, self.sources]
        for place, column, codes in self.words:
            found[:, place] = codes[self.table.words[rows, column]]
        return found


def columns_of_rows(
    table: KeyedTable, rows: Ints, names: Sequence[str]
) -> tuple[dict[str, Floats], dict[str, npt.NDArray[np.object_]]]:
    """Named columns of some rows: numbers, and texts with None where null; what is not in the table is left out."""
    numbers, texts = {}, {}
    for name in names:
        if name in table.number_names:
            numbers[name] = table.numbers[rows, table.number_names.index(name)]
        elif name in table.vocabularies:
            texts[name] = _texts(table, rows, name)
    return numbers, texts


def _texts(table: KeyedTable, rows: Ints, name: str) -> npt.NDArray[np.object_]:
    values = np.array([*table.vocabularies[name], None], dtype=object)
    return np.asarray(values[table.words[rows, list(table.vocabularies).index(name)]], dtype=object)


def given_rows(
    encoding: "Encoding", numbers: Mapping[str, Floats], words: Mapping[str, Sequence[str | None]], count: int
) -> Floats:
    """Encoded rows from columns that a caller gives; what is not given is missing.

    Args:
        encoding: The model's encoding.
        numbers: Columns of numbers, NaN where missing.
        words: Columns of text, None where missing.
        count: Number of rows.
    """
    found = np.full((count, len(encoding.names)), np.nan)
    for place, name in enumerate(encoding.names):
        if name in encoding.words:
            codes = {word: float(code) for code, word in enumerate(encoding.words[name])}
            given = words.get(name, [None] * count)
            found[:, place] = [np.nan if word is None else codes.get(word, np.nan) for word in given]
        elif name in numbers:
            found[:, place] = numbers[name]
    return found


__all__ = ["MISSING", "RowEncoder", "columns_of_rows", "given_rows"]
