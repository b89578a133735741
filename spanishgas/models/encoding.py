"""Features as numbers: flags to 0 and 1, words to codes, missing values to NaN."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
# Kinds of NumPy's types that are numbers as they are: flags, integers, floats.
PLAIN = "biuf"
CHUNK = 50_000


@dataclass(frozen=True)
class Encoding:
    """What was learned of the columns.

    Attributes:
        names: Columns, in order.
        words: Column of words -> words seen in training, in alphabetical order.
    """

    names: tuple[str, ...]
    words: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def learn(cls, features: pd.DataFrame) -> "Encoding":
        """Takes the words of every text column."""
        words = {
            str(name): tuple(sorted(map(str, features[name].dropna().unique())))
            for name in features.columns
            if _is_text(features[name])
        }
        return cls(tuple(map(str, features.columns)), words)

    @property
    def state(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {"names": list(self.names), "words": {name: list(words) for name, words in self.words.items()}}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "Encoding":
        """Takes back what ``state`` gave."""
        return cls(tuple(state["names"]), {name: tuple(words) for name, words in state["words"].items()})

    def numbers(self, features: pd.DataFrame) -> Floats:
        """Shape (rows, columns); a word that was not seen in training is missing."""
        chosen = features.loc[:, list(self.names)]
        found = np.empty(chosen.shape, np.float64)
        # Most columns are plain numbers: taken in one block, for one customer may be all there is to score.
        plain = [
            place
            for place, (name, kind) in enumerate(zip(self.names, chosen.dtypes, strict=True))
            if isinstance(kind, np.dtype) and kind.kind in PLAIN and name not in self.words
        ]
        if plain:
            found[:, plain] = chosen.iloc[:, plain].to_numpy(np.float64)
        for place in sorted(set(range(len(self.names))) - set(plain)):
            found[:, place] = self._column(chosen.iloc[:, place], self.names[place])
        return found

    def small_numbers(self, features: pd.DataFrame) -> npt.NDArray[np.float32]:
        """The same in the precision of trees, chunk by chunk."""
        found = np.empty((len(features), len(self.names)), np.float32)
        for start in range(0, len(features), CHUNK):
            found[start : start + CHUNK] = self.numbers(features.iloc[start : start + CHUNK])
        return found

    def _column(self, values: "pd.Series[float]", name: str) -> Floats:
        if name in self.words:
            places = {word: float(place) for place, word in enumerate(self.words[name])}
            return np.array([places.get(value, np.nan) for value in values.astype("object")], np.float64)
        numbers = pd.to_numeric(values.astype("object"), errors="coerce")
        return np.asarray(numbers.to_numpy(dtype=np.float64, na_value=np.nan), np.float64)


def _is_text(values: "pd.Series[float]") -> bool:
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return False
    return any(isinstance(value, str) for value in values)
