"""One training run: choose features, search, fit, judge, compare, explain."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spanishgas.config import EvaluationSettings, LogisticSettings, XGBoostSettings
from spanishgas.errors import ContractError
from spanishgas.evaluation import assess, named, share_of_ceiling
from spanishgas.models.cross_fitting import out_of_fold
from spanishgas.models.explain import global_table, importance, per_customer, plot_importance, plot_summary
from spanishgas.models.files import ChurnModel, scores
from spanishgas.models.fitting import choose_features, fit
from spanishgas.models.hazard import Floats, HazardModel, union_of
from spanishgas.models.judging import Judgement, Versus, judge, scored, versus
from spanishgas.models.report import render
from spanishgas.models.rows import Rows
from spanishgas.models.tuning import Search, Trial, search
from spanishgas.models.xgboost import XGBoostHazard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OOF = "oof"
AnyModelSettings = LogisticSettings | XGBoostSettings


@dataclass(frozen=True)
class Known:
    """What is known of the features beforehand.

    Attributes:
        signs: Feature -> sign of its effect.
        trending: Features whose level belongs to the date.
        is_temporal: Whether the splits are apart in time.
    """

    signs: Mapping[str, int]
    trending: tuple[str, ...]
    is_temporal: bool


@dataclass(frozen=True)
class TrainingRun:
    """What one training run found.

    Attributes:
        model: The fitted model.
        predictions: Scores of held-out rows: keys, ``risk``, ``hazard_<window>``.
        metrics: Figures under the names of runs.
        tags: Facts in words.
        report: The report in Markdown.
        figures: Name -> figure.
        tables: Artifact name -> table.
        headline: One line for the terminal.
    """

    model: ChurnModel
    predictions: pd.DataFrame
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    report: str
    figures: Mapping[str, "Figure"]
    tables: Mapping[str, pd.DataFrame]
    headline: str


def train(
    table: pd.DataFrame,
    settings: AnyModelSettings,
    evaluation: EvaluationSettings,
    known: Known,
    *,
    threads: int,
    baseline: pd.DataFrame | None = None,
    truth: pd.DataFrame | None = None,
    journal: Path | None = None,
    on_trial: Callable[[Trial], None] = lambda _: None,
    progress: Callable[[str], None] = lambda _: None,
) -> TrainingRun:
    """Trains a model on a training set and tells how good it is.

    Args:
        table: The training set.
        settings: Model settings.
        evaluation: How to judge.
        known: What is known of the features beforehand.
        threads: Worker threads.
        baseline: The baseline's predictions of the same held-out rows.
        truth: True probabilities ``customer_id``, ``as_of``, ``p_horizon``; only the ceiling in the report reads them.
        journal: File of the search's study.
        on_trial: Called after each trial.
        progress: Told what is being done.
    """
    whole = Rows.of(table)
    chosen = choose_features(list(whole.features.columns), settings, known.trending, is_temporal=known.is_temporal)
    rows = whole.with_features(chosen)
    splits = {name: rows.of_split(name) for name in ("train", "valid", "test")}
    found: Search | None = None
    if settings.tuning.trials:
        progress(f"searching settings in {settings.tuning.trials} trials")
        found = search(
            settings,
            lambda tried: fit(tried, known.signs, splits["train"], splits["valid"], threads=threads),
            splits["valid"],
            trials=settings.tuning.trials,
            journal=journal,
            measured=lambda tried: _on_valid(tried, splits["valid"]),
            on_trial=on_trial,
        )
        assert isinstance(found.best, LogisticSettings | XGBoostSettings)
        settings = found.best
    progress(f"fitting {settings.kind} on {len(splits['train']):,} rows")
    model = fit(settings, known.signs, splits["train"], splits["valid"], threads=threads)
    predictions, judgements, seeds = [], [], None
    parts = {name: (splits[name], model.predict_windows(splits[name].features)) for name in ("valid", "test")}
    if evaluation.oof.folds:
        cross = out_of_fold(
            settings, known.signs, rows, whole.features, evaluation.oof, threads=threads, progress=progress
        )
        seeds = cross.table
        # The scores that are published are those of the first seed; the figures of all seeds stand beside them.
        parts[OOF] = (rows, cross.hazards[0])
    parts = {split: (part, hazards) for split, (part, hazards) in parts.items() if np.isfinite(part.outcome).any()}
    if not parts:
        raise ContractError(
            "no outcome over the horizon is known in any split that the model has not learned from",
            where="training set",
            todo="Let labels.split.test end earlier, or bring files that reach further",
        )
    for split, (part, hazards) in parts.items():
        progress(f"judging on {split}")
        held = scores(hazards, rows.names)
        predictions.append(pd.concat([part.keys.assign(split=split), held], axis=1))
        of_part = _features_of(whole, rows, part, split)
        groups = {name: list(of_part[name]) for name in evaluation.groups if name in of_part.columns}
        judgements.append(
            judge(split, scored(part, held), groups, replicates=evaluation.replicates, label=settings.kind)
        )
    held_out = pd.concat(predictions, ignore_index=True)
    counts = judgements[-1].split
    part, hazards = parts[counts]
    last = scored(part, scores(hazards, rows.names))
    against = _against(last, baseline, held_out, counts, settings.kind, evaluation.replicates)
    ceiling = None if truth is None else share_of_ceiling(last, _true_risk(part, truth))
    progress("explaining")
    explained = _sample(part, evaluation.explained_rows)
    added, base = model.contributions(explained.features)
    summary = global_table(added, explained.features)
    own, means = importance(model)
    facts = _facts(splits, rows, model)
    metrics = {name: value for judgement in judgements for name, value in judgement.metrics.items()}
    metrics |= {
        "features_used": float(len(chosen)),
        "train_rows": float(len(splits["train"])),
        "train_leavers": float(np.nansum(splits["train"].windows)),
        "calibration.slope": model.calibration_.slope,
    }
    metrics |= {
        f"calibration.intercept_{name}": value
        for name, value in zip(rows.names, model.calibration_.intercepts, strict=True)
    }
    if isinstance(model, XGBoostHazard):
        metrics["trees"] = float(model.booster_.num_boosted_rounds())
    if ceiling is not None and np.isfinite(ceiling):
        metrics["test_share_of_ceiling"] = ceiling
    if seeds is not None:
        metrics |= {f"oof_{name}_mean": float(seeds[name].mean()) for name in ("roc_auc", "pr_auc")}
        metrics |= {f"oof_{name}_sd": float(seeds[name].std(ddof=0)) for name in ("roc_auc", "pr_auc")}
    if found is not None:
        metrics |= {"trials": float(len(found.trials)), "trials_resumed": float(found.resumed)}
        metrics |= {f"best.{name}": float(getattr(settings, name)) for name in settings.tuning.space}
    tags: dict[str, str] = {"model": settings.kind}
    figures = {f"curves_{judgement.split}": judgement.curves for judgement in judgements}
    figures["importance"] = plot_importance(own, f"{settings.kind}: {means}")
    figures["shap_summary"] = plot_summary(added, base, explained.features)
    tables = {
        "importance.csv": own,
        "shap_global.csv": summary,
        "shap_per_customer.csv": per_customer(
            explained.keys, union_of(model.predict_windows(explained.features)), added
        ),
    }
    for judgement in judgements:
        tables[f"calibration_{judgement.split}.csv"] = judgement.windows
        tables[f"groups_{judgement.split}.csv"] = judgement.groups
    if against is not None:
        tags["verdict"] = against.outcome
        figures["against_baseline"] = against.curves
        metrics |= {f"{counts}_gain_{name}": one.difference for name, one in against.differences.items()}
        tables["against_baseline.csv"] = pd.DataFrame(
            [{"metric": name, **one._asdict()} for name, one in against.differences.items()]
        )
    if found is not None:
        tables["trials.csv"] = _trials(found)
    report = render(
        kind=settings.kind,
        facts=facts,
        judgements=judgements,
        ceiling=ceiling,
        against=against,
        importance=own,
        importance_means=means,
        explained=summary,
        notes=_notes(known, found, counts),
        seeds=seeds,
    )
    card = {
        "rows_train": facts["rows_train"],
        "train_as_of": sorted({str(day) for day in splits["train"].keys["as_of"]}),
        "held_out_as_of": sorted({str(day) for day in held_out["as_of"]}),
        "types": {name: "string" if name in model.encoding_.words else "double" for name in chosen},
        "settings": settings.model_dump(mode="json"),
        "example": json.loads(explained.features.head(3).to_json(orient="records")),
    }
    return TrainingRun(
        ChurnModel(settings.kind, model, rows.names, card),
        held_out,
        metrics,
        tags,
        report,
        figures,
        tables,
        _headline(settings.kind, judgements[-1], against, ceiling),
    )


def _on_valid(model: HazardModel, valid: Rows) -> dict[str, float]:
    """Figures of a trial, without intervals: trials are compared with each other on the same rows."""
    held = scores(model.predict_windows(valid.features), valid.names)
    return named("valid", assess(scored(valid, held), replicates=0))


def _features_of(whole: Rows, rows: Rows, part: Rows, split: str) -> pd.DataFrame:
    """All features of a split, those that the model leaves out among them."""
    return whole.features if part is rows else whole.of_split(split).features


def _against(
    found: Any, baseline: pd.DataFrame | None, held_out: pd.DataFrame, split: str, kind: str, replicates: int
) -> Versus | None:
    if baseline is None:
        return None
    mine = held_out[held_out["split"] == split]
    other = baseline.loc[baseline["split"] == split, ["customer_id", "as_of", "risk"]]
    other = other.assign(as_of=pd.to_datetime(other["as_of"]).dt.date)
    joined = mine[["customer_id", "as_of"]].merge(other, on=["customer_id", "as_of"], how="left", validate="1:1")
    risk = joined["risk"].to_numpy(np.float64)
    return versus(found, risk, names=("the baseline", kind), replicates=replicates)


def _true_risk(rows: Rows, truth: pd.DataFrame) -> Floats:
    told = truth[["customer_id", "as_of", "p_horizon"]].assign(as_of=pd.to_datetime(truth["as_of"]).dt.date)
    joined = rows.keys[["customer_id", "as_of"]].merge(told, on=["customer_id", "as_of"], how="left")
    return np.asarray(joined["p_horizon"].to_numpy(np.float64))


def _sample(rows: Rows, count: int) -> Rows:
    if len(rows) <= count:
        return rows
    return rows.take(np.sort(np.random.default_rng(0).choice(len(rows), count, replace=False)))


def _facts(splits: Mapping[str, Rows], rows: Rows, model: Any) -> dict[str, Any]:
    line = model.calibration_
    how = (
        f"Calibrated on valid by Platt scaling: slope {line.slope:.2f}, intercepts "
        f"{', '.join(f'{value:+.2f}' for value in line.intercepts)}."
    )
    if isinstance(model, XGBoostHazard):
        bound = len(model.monotone or {})
        how = f"{model.booster_.num_boosted_rounds()} trees of depth {model.max_depth}, {bound} bound signs. {how}"
    return {
        "rows_train": len(splits["train"]),
        "leavers_train": int(np.nansum(splits["train"].windows)),
        "features": rows.features.shape[1],
        "how": how,
    }


def _notes(known: Known, found: Search | None, counts: str) -> list[str]:
    notes = []
    if not known.is_temporal:
        notes.append(
            "**Not a temporal split**: one snapshot, split by customer. The figures say how well customers of one "
            "moment are told apart, not how well next quarter's leavers are foretold."
        )
    elif counts == "test":
        notes.append("`valid` stopped the training early and calibrated it; only `test` is a judgement.")
    if found is not None:
        told = f"{len(found.trials)} trials, {found.resumed} of them of an interrupted search"
        notes.append(f"Settings found in {told}: see `trials.csv`.")
    return notes


def _trials(found: Search) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "trial": trial.number,
                "log_loss": trial.loss,
                **{name: getattr(trial.settings, name) for name in trial.settings.tuning.space},
            }
            for trial in found.trials
        ]
    )


def _headline(kind: str, judgement: Judgement, against: Versus | None, ceiling: float | None) -> str:
    figures = judgement.figures
    text = (
        f"{kind} on {judgement.split}: PR-AUC {figures['pr_auc'].value:.3f}, ROC-AUC {figures['roc_auc'].value:.3f}, "
        f"calibration slope {figures['calibration_slope'].value:.2f}, "
        f"observed/expected {figures['observed_over_expected'].value:.2f}"
    )
    if ceiling is not None and np.isfinite(ceiling):
        text += f", {ceiling:.0%} of the ceiling"
    return text if against is None else f"{text}; {against.outcome} than the baseline"
