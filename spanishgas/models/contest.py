"""Models side by side on the same frozen rows: who is asked, whether they can be compared, and how each did."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.errors import ContractError
from spanishgas.evaluation import Comparison, Interval, Scored, assess, by_window, compare
from spanishgas.evaluation.assessment import MIN_LEAVERS, MIN_ROWS
from spanishgas.evaluation.curves import plot_curves
from spanishgas.models.files import ChurnModel
from spanishgas.models.judging import scored
from spanishgas.models.rows import Rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHAMPION, CHALLENGER, BASELINE = ROLES = ("champion", "challenger", "baseline")
GROUPED: Final = ("pr_auc", "log_loss")
TIMED_ROWS: Final = 1000
TIMES: Final = 7


@dataclass(frozen=True)
class Contender:
    """A model in a contest.

    Attributes:
        role: ``champion``, ``challenger`` or ``baseline``.
        label: What readers know it by: its version.
        model: The model.
        size_bytes: Size of its files.
    """

    role: str
    label: str
    model: ChurnModel
    size_bytes: int


@dataclass(frozen=True)
class Contest:
    """Models compared on the same rows.

    Attributes:
        rows_digest: Digest of the frozen rows: keys, features, outcomes, weights.
        rows: Rows with a known outcome.
        leavers: Leavers among them.
        days: Their dates.
        labels: Role -> what readers know the model by.
        left_out: Role -> why that model could not be compared.
        figures: Role -> metric -> value with interval.
        windows: Role -> calibration and ranking per window.
        differences: Role -> metric -> challenger minus that role, paired.
        groups: One row per month, segment or group and metric: challenger against champion, paired.
        sizes: Role -> size of the model's files in MiB.
        scores: ``customer_id``, ``as_of``, ``contender``, ``risk``, ``hazard_<window>``.
        curves: All in one figure; None where nobody could be compared.
        younger: Where challenger and champion are one recipe, the youngest rows that the champion and the challenger's
            version for use learn from, if the latter are younger; else None.
    """

    rows_digest: str
    rows: int
    leavers: int
    days: tuple[str, ...]
    labels: Mapping[str, str]
    left_out: Mapping[str, str]
    figures: Mapping[str, Mapping[str, Interval]]
    windows: Mapping[str, pd.DataFrame]
    differences: Mapping[str, Mapping[str, Comparison]]
    groups: pd.DataFrame
    sizes: Mapping[str, float]
    scores: pd.DataFrame
    curves: "Figure | None"
    younger: tuple[date, date] | None = None

    @property
    def base_rate(self) -> float:
        """Leavers over rows."""
        return self.leavers / self.rows


def hold(
    contenders: Sequence[Contender],
    table: pd.DataFrame,
    *,
    horizon_days: int,
    is_temporal: bool,
    groups: Mapping[str, Sequence[object]],
    replicates: int,
    learned_until: Mapping[str, date] | None = None,
) -> Contest:
    """Compares models on the test rows of a training set.

    A model that cannot be compared fairly is left out with the reason: one that learned from outcomes that reach into
    these rows, that foretells another horizon, or that needs features which the rows no longer have.

    Args:
        contenders: The challenger, and the champion and the baseline where there are any.
        table: The training set that the rows are taken from.
        horizon_days: Its horizon.
        is_temporal: Whether its splits are apart in time; else they are apart by customer.
        groups: Name -> value of each of the table's rows, by which figures are told apart beside the month.
        replicates: Bootstrap replicates.
        learned_until: Role -> youngest row that the version for use learns from, where that is known.

    Raises:
        ContractError: No outcome of a test row is known.
    """
    rows = Rows.of(table)
    chosen = (rows.keys["split"] == "test").to_numpy() & np.isfinite(rows.outcome)
    test = rows.take(chosen)
    if not len(test):
        raise ContractError(
            "no outcome of its test rows is known: nothing to compare models on",
            where="training set",
            todo="Let labels.split.test end earlier, or bring files that reach further",
        )
    left_out = {
        one.role: why
        for one in contenders
        if (why := _why_not(one.model, test, rows.learned, horizon_days=horizon_days, is_temporal=is_temporal))
    }
    compared = {one.role: one for one in contenders if one.role not in left_out}
    scores = {role: one.model.predict(test.features) for role, one in compared.items()}
    found = {role: scored(test, frame) for role, frame in scores.items()}
    ours = found.get(CHALLENGER)
    differences = {
        role: _compare(other, ours, replicates)
        for role, other in found.items()
        if ours is not None and role != CHALLENGER
    }
    named = {name: np.asarray(values, dtype=object)[chosen] for name, values in groups.items()}
    return Contest(
        rows_digest=digest_of_rows(test),
        rows=len(test),
        leavers=int(test.outcome.sum()),
        days=tuple(sorted({str(day) for day in test.keys["as_of"]})),
        labels={one.role: one.label for one in contenders},
        left_out=left_out,
        figures={role: assess(one, replicates=replicates) for role, one in found.items()},
        windows={role: by_window(one, replicates=replicates) for role, one in found.items()},
        differences=differences,
        groups=_by_group(found, named, replicates),
        sizes={role: one.size_bytes / 2**20 for role, one in compared.items()},
        scores=_told(test, scores),
        younger=_younger(compared, learned_until or {}),
        curves=plot_curves(test.outcome, {_label(one): found[role].risk for role, one in compared.items()}, test.weight)
        if found
        else None,
    )


def digest_of_rows(rows: Rows) -> str:
    """Digest of frozen rows: the same keys, features, outcomes and weights, in the same order."""
    frame = pd.concat([rows.keys, rows.features], axis=1)
    frame = frame.assign(as_of=frame["as_of"].astype(str), outcome=rows.outcome, weight=rows.weight)
    total = hashlib.sha256("\n".join(map(str, frame.columns)).encode())
    total.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    total.update(np.nan_to_num(rows.windows, nan=-1.0).tobytes())
    return total.hexdigest()


def time_scoring(model: ChurnModel, clock: Callable[[], float] = time.process_time) -> dict[str, float]:
    """How long a model takes to score, on the rows that its card keeps as an example.

    The processor's time counts, and the least of several: what else the machine does says nothing of the model.

    Args:
        model: The model.
        clock: Seconds.

    Returns:
        ``row_ms`` and ``thousand_rows_ms``.
    """
    example = pd.DataFrame(model.facts.get("example") or [{}]).reindex(columns=list(model.model.columns_))

    def milliseconds(rows: int) -> float:
        features = example.iloc[np.arange(rows) % len(example)].reset_index(drop=True)
        taken = []
        for _ in range(TIMES):
            started = clock()
            model.predict(features)
            taken.append(1000 * (clock() - started))
        return min(taken)

    return {"row_ms": milliseconds(1), "thousand_rows_ms": milliseconds(TIMED_ROWS)}


def _why_not(model: ChurnModel, test: Rows, seen: Rows, *, horizon_days: int, is_temporal: bool) -> str:
    """Why a model cannot be compared on these rows; empty if it can."""
    facts = model.facts
    missing = [name for name in model.model.columns_ if name not in test.features.columns]
    if missing:
        return f"needs {len(missing)} features that are no longer made: {', '.join(missing[:5])}"
    if not {"learned_as_of", "learned_customers", "horizon_days"} <= set(facts):
        return "does not tell what it has learned from: it was trained by an earlier release"
    if (facts["horizon_days"], model.windows) != (horizon_days, test.names):
        return (
            f"foretells {facts['horizon_days']} days in windows {', '.join(model.windows)}, these rows "
            f"{horizon_days} in {', '.join(test.names)}"
        )
    if not is_temporal:
        same = facts["learned_customers"] == seen.customers_digest
        return "" if same else "may have learned from these customers: it was trained on another split of them"
    last = date.fromisoformat(max(facts["learned_as_of"])) + timedelta(days=horizon_days)
    first = min(test.keys["as_of"])
    if last > first:
        return f"has learned from outcomes up to {last}, and these rows begin on {first}"
    return ""


def _younger(compared: Mapping[str, Contender], learned_until: Mapping[str, date]) -> tuple[date, date] | None:
    """The youngest rows of champion and challenger where both are one recipe and the challenger's are younger."""
    recipes = {compared[role].model.facts.get("recipe") for role in (CHAMPION, CHALLENGER) if role in compared}
    theirs, ours = learned_until.get(CHAMPION), learned_until.get(CHALLENGER)
    if CHAMPION not in compared or len(recipes) != 1 or None in recipes or theirs is None or ours is None:
        return None
    return (theirs, ours) if ours > theirs else None


def _compare(other: Scored, ours: Scored, replicates: int) -> dict[str, Comparison]:
    return compare(ours.outcome, other.risk, ours.risk, ours.customers, weight=ours.weight, replicates=replicates)


def _by_group(
    found: Mapping[str, Scored], groups: Mapping[str, npt.NDArray[np.object_]], replicates: int
) -> pd.DataFrame:
    """Challenger against champion by month and group; small ones, whose figures would be noise, are left out."""
    table = []
    if CHAMPION in found and CHALLENGER in found:
        theirs, ours = found[CHAMPION], found[CHALLENGER]
        for group, values in {"as_of": ours.as_of, **groups}.items():
            labels = pd.Series(values).map(str)
            for value in sorted(labels.unique()):
                chosen = (labels == value).to_numpy()
                part = ours.take(chosen)
                if len(part.outcome) < MIN_ROWS or part.outcome.sum() < MIN_LEAVERS:
                    continue
                differences = _compare(theirs.take(chosen), part, replicates)
                table += [
                    {
                        "group": group,
                        "value": value,
                        "rows": len(part.outcome),
                        "leavers": int(part.outcome.sum()),
                        "metric": metric,
                        **differences[metric]._asdict(),
                    }
                    for metric in GROUPED
                ]
    columns = ["group", "value", "rows", "leavers", "metric", *Comparison._fields]
    return pd.DataFrame(table, columns=columns)


def _told(test: Rows, scores: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    keys = test.keys[["customer_id", "as_of"]]
    parts = [pd.concat([keys.assign(contender=role), frame], axis=1) for role, frame in scores.items()]
    columns = ["customer_id", "as_of", "contender", "risk"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _label(contender: Contender) -> str:
    return f"{contender.role} {contender.label} ({contender.model.kind})"
