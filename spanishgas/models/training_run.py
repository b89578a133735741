"""One training run: choose features, search, fit, judge, compare, explain."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spanishgas.config import AnyModelSettings, BlendSettings, EvaluationSettings, LogisticSettings, XGBoostSettings
from spanishgas.domain.repricing import Repricing
from spanishgas.domain.survival import Survival
from spanishgas.errors import ContractError
from spanishgas.evaluation import Scored, assess, named, share_of_ceiling
from spanishgas.models.cross_fitting import out_of_fold
from spanishgas.models.explain import global_table, per_customer, plot_importance, plot_summary
from spanishgas.models.files import ChurnModel, scores
from spanishgas.models.fitting import choose_features, fit
from spanishgas.models.hazard import Floats, HazardModel, union_of
from spanishgas.models.judging import Judgement, Versus, judge, scored, versus
from spanishgas.models.report import render
from spanishgas.models.repricing import learn_repricing
from spanishgas.models.rows import Rows, column_types
from spanishgas.models.survival import Followed, as_followed
from spanishgas.models.survival import learn as learn_survival
from spanishgas.models.tuning import Search, Trial, search

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OOF = "oof"


@dataclass(frozen=True)
class Known:
    """What is known of the features beforehand.

    Attributes:
        signs: Feature -> sign of its effect.
        trending: Features whose level belongs to the date.
        is_temporal: Whether the splits are apart in time.
        horizon_days: Horizon of the outcomes.
    """

    signs: Mapping[str, int]
    trending: tuple[str, ...]
    is_temporal: bool
    horizon_days: int


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

    Raises:
        ConfigError: A feature or setting that is named does not exist.
        ContractError: Nobody leaves or nobody stays in train, or no held-out outcome is known.
    """
    whole = Rows.of(table)
    chosen = choose_features(list(whole.features.columns), settings, known.trending, is_temporal=known.is_temporal)
    rows = whole.with_features(chosen)
    splits = {name: rows.of_split(name) for name in ("train", "valid", "test")}
    found = None
    best = settings
    if settings.tuning.trials:
        progress(f"searching settings in {settings.tuning.trials} trials")
        found = _search(settings, known, splits, threads, journal, on_trial)
        assert isinstance(found.best, BlendSettings | LogisticSettings | XGBoostSettings)
        best = found.best
    progress(f"fitting {best.kind} on {len(splits['train']):,} rows")
    model = fit(best, known.signs, splits["train"], splits["valid"], threads=threads)
    held = {name: _Held.of(splits[name], model.predict_windows(splits[name].features)) for name in ("valid", "test")}
    progress("learning how the risk goes on after the windows")
    curve = replace(learn_survival(_followed(model, whole, rows)), repricing=_repricing(whole))
    seeds = None
    if evaluation.oof.folds:
        # The settings as they were given: those that a search has found know the customers of every fold.
        cross = out_of_fold(
            settings, known.signs, rows, whole.features, evaluation.oof, threads=threads, progress=progress
        )
        seeds = cross.table
        # The scores that are published are those of the first seed; the figures of all seeds stand beside them.
        held[OOF] = _Held.of(rows, cross.hazards[0])
    held = _with_outcomes(held)
    judgements = []
    for split, part in held.items():
        progress(f"judging on {split}")
        told = whole.features if split == OOF else whole.of_split(split).features
        groups = {name: list(told[name]) for name in evaluation.groups if name in told.columns}
        judgements.append(judge(split, part.scored, groups, replicates=evaluation.replicates, label=best.kind))
    counts = judgements[-1].split
    against = None if baseline is None else _against(held[counts], baseline, counts, best.kind, evaluation.replicates)
    ceiling = None if truth is None else share_of_ceiling(held[counts].scored, _true_risk(held[counts].rows, truth))
    progress("explaining")
    explained = _explain(model, _sample(held[counts].rows.alike, evaluation.explained_rows))
    return _told(
        _Findings(
            settings,
            best,
            known,
            rows,
            splits,
            model,
            curve,
            held,
            judgements,
            against,
            ceiling,
            explained,
            found,
            seeds,
        )
    )


@dataclass(frozen=True)
class _Held:
    """Rows that a model has not learned from, and its scores of them."""

    rows: Rows
    scores: pd.DataFrame

    @classmethod
    def of(cls, rows: Rows, hazards: Floats) -> "_Held":
        return cls(rows, scores(hazards, rows.names))

    @property
    def scored(self) -> Scored:
        return scored(self.rows, self.scores)


@dataclass(frozen=True)
class _Explained:
    """What moves the scores of some rows."""

    rows: Rows
    risk: Floats
    added: pd.DataFrame
    base: Floats
    summary: pd.DataFrame
    own: pd.DataFrame
    own_means: str


@dataclass(frozen=True)
class _Findings:
    """Everything that a training run has found, before it is told."""

    given: AnyModelSettings
    settings: AnyModelSettings
    known: Known
    rows: Rows
    splits: Mapping[str, Rows]
    model: HazardModel
    curve: Survival
    held: Mapping[str, _Held]
    judgements: Sequence[Judgement]
    against: Versus | None
    ceiling: float | None
    explained: _Explained
    search: Search | None
    seeds: pd.DataFrame | None

    @property
    def counts(self) -> str:
        """The split that counts: the last one judged."""
        return self.judgements[-1].split


def _search(
    settings: AnyModelSettings,
    known: Known,
    splits: Mapping[str, Rows],
    threads: int,
    journal: Path | None,
    on_trial: Callable[[Trial], None],
) -> Search:
    return search(
        settings,
        lambda tried: fit(tried, known.signs, splits["train"], splits["valid"], threads=threads),
        splits["valid"],
        trials=settings.tuning.trials,
        journal=journal,
        measured=lambda tried: _on_valid(tried, splits["valid"]),
        on_trial=on_trial,
    )


def _followed(model: HazardModel, whole: Rows, rows: Rows) -> Followed:
    """The rows that the model may learn from, as far as they were followed: not at all without churn dates."""
    places = np.flatnonzero(rows.keys["split"].isin(("train", "valid")).to_numpy() & rows.sampled)
    some = rows.take(places)
    is_seen = (some.keys["split"] == "train").to_numpy()
    return as_followed(some, whole.features.iloc[places], model.predict_windows(some.features), is_seen)


def _repricing(whole: Rows) -> Repricing:
    """What renewals do to prices, by the rows that the model may learn from."""
    places = np.flatnonzero(whole.keys["split"].isin(("train", "valid")).to_numpy() & whole.sampled)
    keys = whole.keys.iloc[places]
    return learn_repricing(whole.features.iloc[places], keys["customer_id"], keys["as_of"])


def _with_outcomes(held: Mapping[str, _Held]) -> dict[str, _Held]:
    """The splits of which an outcome over the horizon is known."""
    found = {split: part for split, part in held.items() if np.isfinite(part.rows.outcome).any()}
    if not found:
        raise ContractError(
            "no outcome over the horizon is known in any split that the model has not learned from",
            where="training set",
            todo="Let labels.split.test end earlier, or bring files that reach further",
        )
    return found


def _explain(model: HazardModel, rows: Rows) -> _Explained:
    added, base = model.contributions(rows.features)
    own, means = model.own_importance()
    risk = union_of(model.predict_windows(rows.features))
    return _Explained(rows, risk, added, base, global_table(added, rows.features), own, means)


def _told(found: _Findings) -> TrainingRun:
    """Findings as figures, tables, a report and the model's card."""
    kind, facts = found.settings.kind, _facts(found)
    tags = {"model": kind, "judged_on": found.counts}
    if found.model.trees:
        tags["trees"] = _trees(found.model)
    if found.against is not None:
        tags["verdict"] = found.against.outcome
    predictions = [
        pd.concat([part.rows.keys.assign(split=split), part.scores], axis=1) for split, part in found.held.items()
    ]
    report = render(
        kind=kind,
        facts=facts,
        judgements=found.judgements,
        ceiling=found.ceiling,
        against=found.against,
        importance=found.explained.own,
        importance_means=found.explained.own_means,
        explained=found.explained.summary,
        notes=_notes(found),
        seeds=found.seeds,
    )
    return TrainingRun(
        ChurnModel(kind, found.model, found.rows.names, _card(found), found.curve),
        pd.concat(predictions, ignore_index=True),
        _metrics(found),
        tags,
        report,
        _figures(found),
        _tables(found),
        _headline(found),
    )


def _metrics(found: _Findings) -> dict[str, float]:
    line, counts = found.model.calibration_, found.counts
    # What judges comes first: pages of runs show figures in this order.
    judgements = sorted(found.judgements, key=lambda one: one.split != counts)
    metrics = {name: value for judgement in judgements for name, value in judgement.metrics.items()}
    metrics |= {
        "features_used": float(found.rows.features.shape[1]),
        "train_rows": float(len(found.splits["train"])),
        "train_leavers": float(np.nansum(found.splits["train"].windows)),
        "calibration.slope": line.slope,
    }
    metrics |= {
        f"calibration.intercept_{name}": value for name, value in zip(found.rows.names, line.intercepts, strict=True)
    }
    if found.ceiling is not None:
        metrics[f"{counts}_share_of_ceiling"] = found.ceiling
    if found.seeds is not None:
        metrics |= {f"oof_{name}_mean": float(found.seeds[name].mean()) for name in ("roc_auc", "pr_auc")}
        metrics |= {f"oof_{name}_sd": float(found.seeds[name].std(ddof=0)) for name in ("roc_auc", "pr_auc")}
    if found.search is not None:
        metrics |= {"trials": float(len(found.search.trials)), "trials_resumed": float(found.search.resumed)}
        metrics |= {f"best.{name}": float(getattr(found.settings, name)) for name in found.settings.tuning.space}
    if found.against is not None:
        metrics |= {f"{counts}_gain_{name}": one.difference for name, one in found.against.differences.items()}
    return {name: value for name, value in metrics.items() if np.isfinite(value)}


def _figures(found: _Findings) -> dict[str, "Figure"]:
    explained = found.explained
    figures = {f"curves_{judgement.split}": judgement.curves for judgement in found.judgements}
    figures["importance"] = plot_importance(explained.own, f"{found.settings.kind}: {explained.own_means}")
    figures["shap_summary"] = plot_summary(explained.added, explained.base, explained.rows.features)
    if found.against is not None:
        figures["against_baseline"] = found.against.curves
    return figures


def _tables(found: _Findings) -> dict[str, pd.DataFrame]:
    explained = found.explained
    tables = {
        "importance.csv": explained.own,
        "shap_global.csv": explained.summary,
        "shap_per_customer.csv": per_customer(explained.rows.keys, explained.risk, explained.added),
    }
    for judgement in found.judgements:
        tables[f"calibration_{judgement.split}.csv"] = judgement.windows
        tables[f"groups_{judgement.split}.csv"] = judgement.groups
    if found.against is not None:
        tables["against_baseline.csv"] = pd.DataFrame(
            [{"metric": name, **one._asdict()} for name, one in found.against.differences.items()]
        )
    if found.search is not None:
        tables["trials.csv"] = _trials(found.search)
    return tables


def _card(found: _Findings) -> dict[str, Any]:
    """What travels with the model's files."""
    learned = found.rows.learned
    days = {str(day) for part in found.held.values() for day in part.rows.keys["as_of"]}
    return {
        "rows_train": len(found.splits["train"]),
        "train_as_of": sorted({str(day) for day in found.splits["train"].keys["as_of"]}),
        "held_out_as_of": sorted(days),
        "learned_as_of": sorted({str(day) for day in learned.keys["as_of"]}),
        "learned_customers": learned.customers_digest,
        "horizon_days": found.known.horizon_days,
        "types": column_types(found.rows.features),
        "settings": found.settings.model_dump(mode="json"),
        "recipe": _recipe(found),
        "example": json.loads(found.explained.rows.features.head(3).to_json(orient="records")),
    }


def _recipe(found: _Findings) -> str:
    """Digest of how the model came about, the rows apart: another training of the same recipe is the same procedure.

    Settings are those that were given: that a search finds others on later rows is part of the procedure.
    """
    told = {
        "settings": found.given.model_dump(mode="json"),
        "features": list(found.rows.features.columns),
        "windows": list(found.rows.names),
        "horizon_days": found.known.horizon_days,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _on_valid(model: HazardModel, valid: Rows) -> dict[str, float]:
    """Figures of a trial, without intervals: trials are compared with each other on the same rows."""
    held = scores(model.predict_windows(valid.features), valid.names)
    return named("valid", assess(scored(valid, held), replicates=0))


def _against(found: _Held, baseline: pd.DataFrame, split: str, kind: str, replicates: int) -> Versus:
    other = baseline.loc[baseline["split"] == split, ["customer_id", "as_of", "risk"]]
    other = other.assign(as_of=pd.to_datetime(other["as_of"]).dt.date)
    keys = found.rows.keys[["customer_id", "as_of"]]
    risk = keys.merge(other, on=["customer_id", "as_of"], how="left", validate="1:1")["risk"].to_numpy(np.float64)
    return versus(found.scored, risk, names=("the baseline", kind), replicates=replicates)


def _true_risk(rows: Rows, truth: pd.DataFrame) -> Floats:
    told = truth[["customer_id", "as_of", "p_horizon"]].assign(as_of=pd.to_datetime(truth["as_of"]).dt.date)
    joined = rows.keys[["customer_id", "as_of"]].merge(told, on=["customer_id", "as_of"], how="left")
    return np.asarray(joined["p_horizon"].to_numpy(np.float64))


def _sample(rows: Rows, count: int) -> Rows:
    if len(rows) <= count:
        return rows
    return rows.take(np.sort(np.random.default_rng(0).choice(len(rows), count, replace=False)))


def _facts(found: _Findings) -> dict[str, Any]:
    model, train = found.model, found.splits["train"]
    line = model.calibration_
    how = (
        f"Calibrated on valid by Platt scaling: slope {line.slope:.2f}, intercepts "
        f"{', '.join(f'{value:+.2f}' for value in line.intercepts)}."
    )
    return {
        "rows_train": len(train),
        "leavers_train": int(np.nansum(train.windows)),
        "features": found.rows.features.shape[1],
        "how": f"{model.told_how()} {how}".strip(),
    }


def _trees(model: HazardModel) -> str:
    """How many trees it keeps; of a blend by member."""
    counts = model.trees
    return ", ".join(f"{name} {count}" if len(counts) > 1 else str(count) for name, count in counts.items())


def _notes(found: _Findings) -> list[str]:
    notes = []
    if not found.known.is_temporal:
        notes.append(
            "**Not a temporal split**: one snapshot, split by customer. The figures say how well customers of one "
            "moment are told apart, not how well next quarter's leavers are foretold."
        )
    if found.counts == "valid":
        notes.append(
            "**Not a judgement**: no outcome of `test` is mature, and `valid` stopped the training and calibrated it, "
            "so its figures flatter."
        )
    elif found.counts == "test" and "valid" in found.held:
        notes.append("`valid` stopped the training early and calibrated it; only `test` is a judgement.")
    if found.search is not None:
        told = f"{len(found.search.trials)} trials, {found.search.resumed} of them of an interrupted search"
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


def _headline(found: _Findings) -> str:
    figures, against = found.judgements[-1].figures, found.against
    text = (
        f"{found.settings.kind} on {found.counts}: PR-AUC {figures['pr_auc'].value:.3f}, "
        f"ROC-AUC {figures['roc_auc'].value:.3f}, calibration slope {figures['calibration_slope'].value:.2f}, "
        f"observed/expected {figures['observed_over_expected'].value:.2f}"
    )
    if found.ceiling is not None and np.isfinite(found.ceiling):
        text += f", {found.ceiling:.0%} of the ceiling"
    return text if against is None else f"{text}; against the baseline: {against.outcome}"
