"""The leak audit: a feature that alone tells too much is taken for a leak until somebody shows that it is none."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.config import LabelSettings

BINS = 20
COLUMNS = ["feature", "check", "value", "rows", "churn", "limit", "chance"]


def single_feature_auc(features: pd.DataFrame, outcome: "pd.Series[float]") -> "pd.Series[float]":
    """ROC-AUC of every feature alone, whichever its direction; missing values rank below all others.

    Texts are ranked by a code of their value, which is no order: their bins tell more.

    Args:
        features: One column per feature.
        outcome: 0 or 1, not null.
    """
    from sklearn.metrics import roc_auc_score

    found: dict[str, float] = {}
    for name in features.columns:
        values = _as_numbers(features[name])
        low = values.min() if values.notna().any() else 0.0
        ranked = values.fillna(low - 1.0)
        auc = float(roc_auc_score(outcome, ranked)) if outcome.nunique() == 2 else 0.5
        found[str(name)] = max(auc, 1.0 - auc)
    return pd.Series(found, dtype=float)


def _as_numbers(values: "pd.Series[float]") -> "pd.Series[float]":
    if pd.api.types.is_bool_dtype(values) or pd.api.types.is_numeric_dtype(values):
        return values.astype("float64")
    if all(isinstance(value, bool) for value in values.dropna()):
        return values.astype("object").map(float, na_action="ignore").astype("float64")
    codes = values.astype("string").astype("category").cat.codes.astype("float64")
    return codes.where(codes >= 0)


def audit_features(
    features: pd.DataFrame, outcome: "pd.Series[float]", labels: LabelSettings, auc: "pd.Series[float] | None" = None
) -> pd.DataFrame:
    """What looks like a leak.

    Args:
        features: One column per feature, rows with a known outcome.
        outcome: 0 or 1, same rows.
        labels: Limits of the audit.
        auc: What ``single_feature_auc`` says of them, where that has been asked already.

    Returns:
        One row per finding: feature, check (``roc_auc``, ``high_churn``, ``low_churn``), value or bin, rows, churn (or
        the ROC-AUC), the limit, and for bins the chance of seeing as much if the bin had the average churn.
    """
    from scipy.stats import binom

    base = float(outcome.mean()) if len(outcome) else 0.0
    findings: list[dict[str, object]] = []
    alone = single_feature_auc(features, outcome) if auc is None else auc
    for name, area in alone.loc[list(features.columns)].items():
        if area > labels.audit_max_roc_auc:
            findings.append(
                {"feature": name, "check": "roc_auc", "value": "", "rows": len(outcome), "churn": area,
                 "limit": labels.audit_max_roc_auc, "chance": np.nan}
            )  # fmt: skip
    left_by_row = outcome.to_numpy(np.float64)
    for name in features.columns:
        places, words = _bins(features[name])
        sizes = np.bincount(places, minlength=len(words))
        leavers = np.bincount(places, left_by_row, minlength=len(words))
        for value, rows, left in zip(words, sizes, leavers, strict=True):
            if not rows or rows < labels.audit_min_rows:
                continue
            churn = left / rows
            high = churn > labels.audit_max_churn
            if high or churn < labels.audit_min_churn:
                chance = binom.sf(left - 1, rows, base) if high else binom.cdf(left, rows, base)
                findings.append(
                    {"feature": name, "check": "high_churn" if high else "low_churn", "value": str(value),
                     "rows": int(rows), "churn": churn, "chance": float(chance),
                     "limit": labels.audit_max_churn if high else labels.audit_min_churn}
                )  # fmt: skip
    return pd.DataFrame(findings, columns=COLUMNS)


def _bins(values: "pd.Series[float]") -> tuple[npt.NDArray[np.int64], list[object]]:
    """Bin of each row, and what the bins are called: of equal mass for numbers with many values, else the values.

    Missing values are the last bin.
    """
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if numeric and values.nunique() > BINS:
        binned = pd.qcut(values.astype("float64"), BINS, duplicates="drop").cat
        codes, words = binned.codes.to_numpy(np.int64), list(binned.categories)
    else:
        whole = numeric and bool((values.dropna() % 1 == 0).all())
        found, uniques = pd.factorize(values.astype("Int64") if whole else values.astype("string"), sort=True)
        codes, words = np.asarray(found, np.int64), list(uniques)
    return np.where(codes < 0, len(words), codes), [*words, "missing"]
