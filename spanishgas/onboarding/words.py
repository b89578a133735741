"""Names of columns as what their words stand for, and how well a name fits what a column of a contract is called."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from spanishgas.config import SettingsModel

DICTIONARY = Path(__file__).resolve().parents[2] / "conf" / "layouts" / "dictionary"
LIGHT, UNKNOWN, NUMBER = 0.35, 0.7, 0.4
ABBREVIATED, SHORTENED, JOINED = 0.85, 0.6, 0.97
HINT, ENOUGH_FOR_A_HINT = 0.35, 0.75
SHORT_WORDS = frozenset({"id", "kw", "m3", "wh", "p1", "p2", "p3", "t1", "t2", "t3", "ts"})
PIECES = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class Meaning(SettingsModel):
    """How a source and its columns are called.

    Attributes:
        names: Words of the names of its files.
        key: Columns without which a file is no such source.
        marks: Columns of which at least one has to be there too.
        columns: Column -> phrases.
    """

    names: tuple[str, ...]
    key: tuple[str, ...]
    marks: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]


class Meanings(SettingsModel):
    """What the dictionary knows beside single words; conf/layouts/dictionary/meanings.yaml explains its parts.

    Attributes:
        sources: Source -> how it is called.
        everywhere: Columns that every source has -> phrases.
        orders: Source -> pairs of columns of which the first is seldom larger.
        levels: Column -> where the median of its values lies.
        units: Unit of a contract -> words of other units, with the factor from them.
        codes: Column -> code of the contract -> words for it.
    """

    sources: dict[str, Meaning]
    everywhere: dict[str, tuple[str, ...]]
    orders: dict[str, tuple[tuple[str, str], ...]]
    levels: dict[str, tuple[float, float]]
    units: dict[str, tuple[tuple[tuple[str, ...], float], ...]]
    codes: dict[str, dict[str, tuple[str, ...]]]

    def phrases(self, source: str, column: str) -> tuple[str, ...]:
        """What a column of a source is called."""
        return self.sources[source].columns.get(column) or self.everywhere.get(column, ())


class Words(SettingsModel):
    """Words and what they stand for.

    Attributes:
        filler: Words that say nothing by themselves.
        light: What weighs little where a phrase does not ask for it.
        words: What is meant -> words for it.
    """

    filler: tuple[str, ...]
    light: tuple[str, ...]
    words: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Token:
    """One word of a name.

    Attributes:
        text: The word.
        means: What it may stand for -> how sure that is.
    """

    text: str
    means: Mapping[str, float]

    @property
    def weight(self) -> float:
        """What it counts where nothing explains it."""
        if self.text.isdigit():
            return NUMBER
        if not self.means:
            return UNKNOWN
        return LIGHT if set(self.means) & set(_words().light) else 1.0


@cache
def meanings() -> Meanings:
    """The dictionary of columns; everything in it is read as text first, as `no` and `1` are words here."""
    return Meanings.model_validate(_as_text(DICTIONARY / "meanings.yaml"))


@cache
def _words() -> Words:
    return Words.model_validate(_as_text(DICTIONARY / "words.yaml"))


def _as_text(file: Path) -> object:
    """A file of YAML with every value as text; the loader makes nothing else of them."""
    text = file.read_text("utf-8")
    return yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506  # nosec B506


@cache
def _vocabulary() -> Mapping[str, frozenset[str]]:
    known: dict[str, set[str]] = {}
    for meaning, words in _words().words.items():
        for word in words:
            known.setdefault(plain(word), set()).add(meaning)
    return {word: frozenset(means) for word, means in known.items()}


def plain(text: str) -> str:
    """A text in small letters, without accents and without space around it."""
    bare = unicodedata.normalize("NFKD", text.strip().casefold())
    return "".join(char for char in bare if not unicodedata.combining(char))


def bare_name(name: str) -> str:
    """A column's name as layouts compare it: small letters and digits only."""
    return re.sub(r"[^0-9a-z]", "", plain(name))


@cache
def tokens(name: str) -> tuple[Token, ...]:
    """The words of a name, fillers left out: `FechaAlta`, `fecha_alta`, `FECHAALTA` and `fec.alta` are the same."""
    pieces = [piece for piece in re.split(r"[^0-9A-Za-z]+", _ascii(name)) if piece]
    found = [token for piece in pieces for token in _of_piece(piece)]
    return tuple(token for token in found if token.text not in _words().filler) or tuple(found)


def _ascii(name: str) -> str:
    spelled = name.replace("³", "3").replace("€", " eur ").replace("º", "")
    return "".join(char for char in unicodedata.normalize("NFKD", spelled) if not unicodedata.combining(char))


def _of_piece(piece: str) -> list[Token]:
    word = piece.lower()
    if word in _words().filler:
        return [Token(word, {})]
    if word in _vocabulary():
        return [Token(word, dict.fromkeys(_vocabulary()[word], 1.0))]
    if word.isdigit():
        return [Token(word, {})]
    if word.endswith("s") and word[:-1] in _vocabulary():
        return [Token(word, dict.fromkeys(_vocabulary()[word[:-1]], 1.0))]
    joined = _joined(word)
    if joined:
        return [Token(one, dict.fromkeys(_vocabulary().get(one, ()), JOINED)) for one in joined]
    parts = PIECES.findall(piece)
    if len(parts) > 1:
        return [token for part in parts for token in _of_piece(part)]
    return [Token(word, _abbreviated(word))]


def _joined(word: str) -> list[str]:
    """Words that a piece is put together from, the fewest; empty where it is not."""
    best: list[list[str] | None] = [[]] + [None] * len(word)
    for end in range(1, len(word) + 1):
        for start in range(end):
            part, before = word[start:end], best[start]
            known = part in _vocabulary() or (len(part) > 1 and part in _words().filler and start > 0)
            if before is None or not known or (len(part) < 3 and part not in SHORT_WORDS | {"de", "la"}):
                continue
            now = best[end]
            if now is None or len(before) + 1 < len(now):
                best[end] = [*before, part]
    return best[-1] or []


def _abbreviated(word: str) -> dict[str, float]:
    """What the first letters of a word, or letters left of it, may stand for."""
    if len(word) < 3:
        return {}
    means: dict[str, float] = {}
    for known, stands_for in _vocabulary().items():
        if known.startswith(word) and len(known) > len(word):
            means |= dict.fromkeys(stands_for, ABBREVIATED)
    if means:
        return means
    for known, stands_for in _vocabulary().items():
        if len(known) >= len(word) + 2 and known[0] == word[0] and _left_of(word, known):
            means |= dict.fromkeys(stands_for, SHORTENED)
        elif len(word) > 5 and _one_letter_apart(word, known):
            means |= dict.fromkeys(stands_for, ABBREVIATED)
    return means


def _left_of(word: str, known: str) -> bool:
    letters = iter(known)
    return all(letter in letters for letter in word)


def _one_letter_apart(word: str, known: str) -> bool:
    """Whether one of two words has one letter more at its end (plurals, genders) or another letter there."""
    shorter, longer = sorted((word, known), key=len)
    return longer.startswith(shorter[:-1]) and len(longer) - len(shorter) <= 1 and len(shorter) > 4


@cache
def fit_of_phrase(name: str, phrase: str) -> float:
    """How well a name fits a phrase: 0 to 1, the share of the name's weight that the phrase explains.

    A name without a word that the phrase asks for is no more than a hint, and only where it says hardly anything else.
    """
    asked, _, cap = phrase.partition("@")
    parts = asked.split()
    free = list(tokens(name))
    whole = sum(token.weight for token in free)
    explained, said, complete = 0.0, list[str](), True
    for part in sorted(parts, key=lambda one: one.endswith("?")):
        meaning = part.rstrip("?")
        fitting = [token for token in free if meaning in token.means]
        if fitting:
            best = max(fitting, key=lambda token: (token.means[meaning], -len(token.means)))
            free.remove(best)
            explained += best.weight * best.means[meaning]
            said.append(meaning)
        elif not part.endswith("?"):
            complete = False
    # `bono social`, `comunidad autónoma`: two words for one thing.
    explained += sum(token.weight for token in free if any(meaning in token.means for meaning in said))
    share = explained / whole if whole else 0.0
    if complete:
        return share * (float(cap) if cap.strip() else 1.0)
    return HINT if share >= ENOUGH_FOR_A_HINT and set(said) - set(_words().light) else 0.0


def fit_of_name(name: str, column: str, phrases: Sequence[str]) -> float:
    """How well a raw name fits a column of a contract: 1 where it is the contract's own name."""
    last = name.rpartition(".")[2]
    if bare_name(column) in (bare_name(name), bare_name(last)):
        return 1.0
    return max((fit_of_phrase(name, phrase) for phrase in phrases), default=0.0)


def stands_for(name: str, meaning: str) -> bool:
    """Whether a word of a name stands for something, abbreviations included."""
    return any(meaning in token.means for token in tokens(name))
