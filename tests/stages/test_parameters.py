"""What is logged as parameters: names and values as they are typed, the same for every stage and model."""

import pytest

from pipelines._entry import load_settings
from spanishgas.config.flat import spelled
from spanishgas.stages.catalog import STAGES
from spanishgas.stages.parameters import parameters_of, recorded


def test_names_are_those_that_are_typed() -> None:
    told = parameters_of(
        "train", load_settings(("model.max_depth=4", "model.l2=2.5", "model.leave_out=[tenure_days,b]"))
    )
    wanted = {"model.max_depth": "4", "model.l2": "2.5", "model.leave_out": "[tenure_days,b]", "model.monotone": "true"}
    assert wanted.items() <= told.items()
    assert len(told) < 80
    # Typed again they are the same settings.
    again = [f"{name}={value}" for name, value in told.items() if not name.startswith(("baseline", "model.kind"))]
    assert parameters_of("train", load_settings(again)) == told


@pytest.mark.parametrize("stage", [*(stage.name for stage in STAGES), "run_pipeline"])
def test_no_stage_logs_what_it_does_not_depend_on(stage: str) -> None:
    told = set(parameters_of(stage, load_settings(())))
    assert told
    assert len(told) < 110
    assert not [name for name in told if name.startswith(("tracking", "engine", "force", "data.sources"))]
    assert "model.max_depth" not in told or stage in ("train", "backtest")


def test_runs_of_two_models_differ_in_the_settings_of_the_model_only() -> None:
    one, other = (parameters_of("train", load_settings((f"model={name}",))) for name in ("logistic", "xgboost"))
    differing = {name for name in {**one, **other} if one.get(name) != other.get(name)}
    assert {name.partition(".")[0] for name in differing} == {"model"}
    assert {"model.kind", "model.c", "model.max_depth"} <= differing
    assert not [name for name in differing if "tuning" in name]


def test_a_search_that_is_made_is_told() -> None:
    assert "model.tuning.space.c.low" in parameters_of(
        "train", load_settings(("model=logistic", "model.tuning.trials=3"))
    )


def test_dates_are_spelled_as_they_are_given() -> None:
    assert parameters_of("features", load_settings(()))["as_of"] == "2026-01-31"
    two = parameters_of("features", load_settings(("as_of=[2025-12-31,2026-01-31]",)))
    assert two["as_of"] == "[2025-12-31,2026-01-31]"
    assert [spelled(one) for one in (None, True, 4.0, 1e-05, [], {"a": [1, None]})] == [
        *("null", "true", "4", "1e-05", "[]", "{a:[1,null]}")
    ]


def test_no_password_is_kept() -> None:
    settings = load_settings(("tracking.uri='postgresql://ana:pw@db/x'", "tracking.lock='postgresql://ana:pw@db/y'"))
    assert recorded(settings)["tracking"]["uri"] == "postgresql://ana:***@db/x"
    assert recorded(settings)["tracking"]["lock"] == "postgresql://ana:***@db/y"
