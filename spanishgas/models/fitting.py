"""From settings to a fitted model: which features it uses, which signs bind it, what is kept apart."""

import difflib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from spanishgas.config import BlendSettings, LogisticSettings, ModelSettings, XGBoostSettings
from spanishgas.errors import ConfigError, ContractError
from spanishgas.models.blend import BlendHazard
from spanishgas.models.hazard import Fold, HazardModel
from spanishgas.models.logistic import LogisticHazard
from spanishgas.models.rows import Rows
from spanishgas.models.xgboost import XGBoostHazard


def choose_features(
    names: Sequence[str], settings: ModelSettings, trending: Sequence[str], *, is_temporal: bool
) -> list[str]:
    """Features that a model uses, in their order.

    Args:
        names: Features of the training set.
        settings: Model settings.
        trending: Features whose level belongs to the date.
        is_temporal: Whether training and scoring are apart in time.

    Raises:
        ConfigError: A name or pattern to leave out fits nothing, or nothing is left.
    """
    for pattern in settings.leave_out:
        if not any(fnmatchcase(name, pattern) for name in names):
            near = difflib.get_close_matches(pattern, names, n=3)
            raise ConfigError(
                f"{pattern!r} fits no feature",
                where="model.leave_out",
                todo=f"Nearest: {', '.join(near) or 'nothing'}; docs/FEATURES.md lists all",
            )
    out = {name for name in names if any(fnmatchcase(name, pattern) for pattern in settings.leave_out)}
    if settings.trending == "leave_out" or (settings.trending == "auto" and is_temporal):
        out |= set(trending)
    chosen = [name for name in names if name not in out]
    if not chosen:
        raise ConfigError("leaves no feature to use", where="model.leave_out")
    return chosen


def build_model(settings: ModelSettings, signs: Mapping[str, int], *, threads: int) -> HazardModel:
    """An estimator that is not fitted yet.

    Args:
        settings: Model settings.
        signs: Feature -> sign of its effect where that is known beforehand.
        threads: Worker threads; results do not depend on them.
    """
    if isinstance(settings, XGBoostSettings | BlendSettings):
        parameters = settings.model_dump(exclude={"kind", "leave_out", "trending", "tuning", "monotone"})
        bound = {name: sign for name, sign in signs.items() if sign} if settings.monotone else None
        estimator = XGBoostHazard if isinstance(settings, XGBoostSettings) else BlendHazard
        return estimator(**parameters, monotone=bound, threads=threads)
    assert isinstance(settings, LogisticSettings)
    return LogisticHazard(c=settings.c, max_iter=settings.max_iter)


def fit(
    settings: ModelSettings, signs: Mapping[str, int], train: Rows, valid: Rows | None, *, threads: int
) -> HazardModel:
    """Fits on train; valid stops early and calibrates, by disjoint customers.

    Raises:
        ContractError: Nobody in train leaves, or nobody stays.
    """
    if valid is None or not len(valid):
        return fit_parts(settings, signs, train, threads=threads)
    stopping, calibrating = valid.fold.parts()
    return fit_parts(settings, signs, train, stopping, calibrating, threads=threads)


def fit_parts(
    settings: ModelSettings,
    signs: Mapping[str, int],
    train: Rows,
    stopping: Fold | None = None,
    calibrating: Fold | None = None,
    *,
    threads: int,
    trees: Mapping[str, int] | None = None,
) -> HazardModel:
    """Fits on train, with the rows that stop and those that calibrate told apart.

    Args:
        settings: Model settings.
        signs: Feature -> sign of its effect where that is known beforehand.
        train: Rows to learn from.
        stopping: Rows that tell when to stop.
        calibrating: Rows to calibrate on.
        threads: Worker threads.
        trees: How many trees to take, as ``HazardModel.trees`` tells them; None leaves it to the settings.

    Raises:
        ContractError: Nobody in train leaves, or nobody stays.
    """
    left, stayed = int((train.windows == 1).sum()), int((train.windows == 0).sum())
    if not left or not stayed:
        raise ContractError(
            f"{left:,} outcomes of leaving and {stayed:,} of staying: a model needs both",
            where="training set, split train",
            todo="Check the labels' dates, or take more customers",
        )
    known = {name: sign for name, sign in signs.items() if name in train.features.columns}
    model = build_model(settings, known, threads=threads)
    if trees is not None:
        model.settle(trees)
    return model.fit(train.features, train.windows, train.weights, stopping=stopping, calibrating=calibrating)
