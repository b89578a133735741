"""Search for a model's settings with Optuna's tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011).

The study is a journal file: a search that was interrupted goes on where it was, and its total of trials stays the same.
A trial is fitted on train and judged by the log-loss of the window hazards on valid, the rows that no reported figure
comes from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spanishgas.config import ModelSettings
from spanishgas.errors import ConfigError
from spanishgas.models.hazard import Floats, HazardModel, person_periods
from spanishgas.models.rows import Rows

STUDY = "study"
METRICS = "metrics"


@dataclass(frozen=True)
class Trial:
    """One point of a search.

    Attributes:
        number: Its place, from 0.
        settings: Settings that were tried.
        loss: Log-loss per person-period on valid.
        metrics: Further figures on valid.
    """

    number: int
    settings: ModelSettings
    loss: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Search:
    """The outcome of a search.

    Attributes:
        best: Settings of the best trial.
        trials: All trials, those of an interrupted run included.
        resumed: How many of them were there already.
    """

    best: ModelSettings
    trials: tuple[Trial, ...]
    resumed: int


def search(
    settings: ModelSettings,
    fitted: Callable[[ModelSettings], HazardModel],
    valid: Rows,
    *,
    trials: int,
    journal: Path | None = None,
    measured: Callable[[HazardModel], Mapping[str, float]] = lambda _: {},
    on_trial: Callable[[Trial], None] = lambda _: None,
) -> Search:
    """Searches the space that the settings name.

    Args:
        settings: Where the search begins: its first trial.
        fitted: Fits a model with the settings of a trial.
        valid: Rows to judge by, apart from those that the model learns from.
        trials: Trials in total.
        journal: File that keeps the study; None keeps it in memory.
        measured: Further figures of a trial's model on valid.
        on_trial: Called after each trial, and for those of an interrupted search before the first new one.

    Raises:
        ConfigError: The space names a setting that the model does not have.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    space = settings.tuning.space
    unknown = [name for name in space if name not in type(settings).model_fields]
    if unknown or not space:
        raise ConfigError(
            "names no setting of the model" if unknown else "is empty",
            where="model.tuning.space",
            examples=unknown,
            todo=f"Settings: {', '.join(type(settings).model_fields)}",
        )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = None
    if journal is not None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        storage = JournalStorage(JournalFileBackend(str(journal)))
    # The sampler's state is not kept: its seed goes on with the number of trials, so that a resumed search moves on.
    study = optuna.create_study(storage=storage, study_name=STUDY, load_if_exists=True)
    done = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    study.sampler = optuna.samplers.TPESampler(seed=settings.tuning.seed + len(done), n_startup_trials=5)
    if not study.trials:
        study.enqueue_trial({name: getattr(settings, name) for name in space})
    found = [
        Trial(place, _with(settings, one.params), float(one.value or 0.0), dict(one.user_attrs.get(METRICS, {})))
        for place, one in enumerate(done)
    ]
    for trial in found:
        on_trial(trial)
    for _ in range(trials - len(done)):
        asked = study.ask()
        tried = _with(settings, {name: _suggest(asked, name, settings) for name in space})
        model = fitted(tried)
        loss, further = log_loss(model, valid), dict(measured(model))
        asked.set_user_attr(METRICS, further)
        study.tell(asked, loss)
        found.append(Trial(len(found), tried, loss, further))
        on_trial(found[-1])
    best = min(found, key=lambda trial: (trial.loss, trial.number))
    return Search(best.settings, tuple(found), len(done))


def log_loss(model: HazardModel, rows: Rows) -> float:
    """Weighted log-loss of the window hazards, per person-period."""
    periods = person_periods(rows.windows, rows.weights)
    hazards: Floats = model.predict_windows(rows.features)[periods.row, periods.window]
    safe = np.clip(hazards, 1e-9, 1 - 1e-9)
    losses = -(periods.outcome * np.log(safe) + (1 - periods.outcome) * np.log1p(-safe))
    return float(np.average(losses, weights=periods.weight))


def _with(settings: ModelSettings, values: Mapping[str, Any]) -> ModelSettings:
    return type(settings).model_validate({**settings.model_dump(), **values})


def _suggest(trial: Any, name: str, settings: ModelSettings) -> float | int:
    bounds = settings.tuning.space[name]
    if type(settings).model_fields[name].annotation is int:
        return int(trial.suggest_int(name, int(bounds.low), int(bounds.high), log=bounds.log))
    return float(trial.suggest_float(name, bounds.low, bounds.high, log=bounds.log))
