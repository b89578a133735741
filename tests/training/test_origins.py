"""Rolling origins: what is learned at an origin was known then."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from spanishgas.config import BacktestSettings, EngineSettings, LabelSettings
from spanishgas.engine.session import open_engine
from spanishgas.errors import ConfigError
from spanishgas.training.origins import origin_rows, origins
from spanishgas.training.split import learned_months

LABELS = LabelSettings.model_validate(
    {"split": {name: {"first": date(2024, 2, 29), "last": date(2024, 2, 29)} for name in ("train", "valid", "test")}}
)
SETTINGS = BacktestSettings(first=date(2024, 7, 31), last=date(2024, 9, 30))
CUT = date(2025, 1, 31)


def test_origins_are_month_ends_whose_outcomes_are_mature() -> None:
    assert origins(SETTINGS, LABELS, CUT, None) == (date(2024, 7, 31), date(2024, 8, 31), date(2024, 9, 30))
    every_other = SETTINGS.model_copy(update={"every": 2})
    assert origins(every_other, LABELS, CUT, None) == (date(2024, 7, 31), date(2024, 9, 30))
    with pytest.raises(ConfigError, match=r"not mature.*at or before 2024-08-17"):
        origins(SETTINGS, LABELS, date(2024, 11, 30), None)
    with pytest.raises(ConfigError, match="nothing to roll over"):
        origins(BacktestSettings(), LabelSettings(kind="snapshot", shares={"train": 1.0}), CUT, None)


def test_origins_are_counted_back_as_far_as_there_is_something_to_learn() -> None:
    cut, begin = date(2026, 1, 31), date(2024, 1, 1)
    # At 2024-10-31 three months are mature: two to calibrate on and one more.
    found = origins(BacktestSettings(months=20), LabelSettings(), cut, begin)
    assert (found[0], found[-1], len(found)) == (date(2024, 10, 31), date(2025, 9, 30), 12)
    assert origins(BacktestSettings(months=6, every=3), LabelSettings(), cut, begin) == (
        date(2025, 6, 30), date(2025, 9, 30),
    )  # fmt: skip
    with pytest.raises(ConfigError, match="at no origin up to 2025-09-30 are there 3 months"):
        origins(BacktestSettings(), LabelSettings(), cut, date(2025, 6, 1))


def test_what_is_learned_at_an_origin_is_what_a_refit_there_would_learn() -> None:
    found = learned_months(LABELS, date(2024, 8, 31), None)
    # 105 days before the origin: the horizon and the registration lag.
    assert found == (date(2024, 2, 29), date(2024, 3, 31), date(2024, 4, 30))
    assert learned_months(LABELS, date(2024, 5, 31), None) == ()
    counted = learned_months(LabelSettings(), date(2026, 7, 31), date(2024, 1, 1))
    assert (counted[0], counted[-1], len(counted)) == (date(2024, 6, 30), date(2026, 3, 31), 22)


def test_rows_carry_what_was_known_at_the_origin() -> None:
    as_of, origin = date(2024, 4, 30), date(2024, 7, 31)
    people = {
        # Left and registered before the origin; left before, registered after; left after; stayed.
        "early": (date(2024, 5, 20), date(2024, 5, 25)),
        "late": (date(2024, 5, 21), date(2024, 8, 10)),
        "after": (date(2024, 8, 20), date(2024, 8, 22)),
        "stays": (None, CUT),
    }
    events = pd.DataFrame(
        {
            "customer_id": list(people),
            "churn": [left is not None for left, _ in people.values()],
            "churn_date": pd.Series([left for left, _ in people.values()], dtype="object"),
            "reason": pd.Series([None] * 4, dtype="object"),
            "known_at": [known for _, known in people.values()],
        }
    ).astype({"reason": "string"})
    features = pd.DataFrame(
        {
            "customer_id": [*people, "after", "stays"],
            "as_of": [as_of] * 4 + [origin] * 2,
            "size": range(6),
        }
    )
    offers = pd.DataFrame(
        {
            "campaign_id": ["K"],
            "customer_id": ["nobody"],
            "offer_date": [as_of],
            "action": ["none"],
            "propensity": [0.5],
            "known_at": [as_of],
        }
    )
    with open_engine(EngineSettings(threads=1), Path("unused")) as engine:
        silver = {"churn_events": engine.table(events), "retention_offers": engine.table(offers)}
        rows = origin_rows(engine, engine.table(features), silver, LABELS, origin, [as_of], CUT)
    learned = rows[rows["split"] == "train"].set_index("customer_id")
    assert learned.loc["early", "left_0_30"] == 1
    assert learned.loc["late", "left_0_30"] == 0, "registered after the origin: nobody knew"
    assert learned["left_0_30"].notna().all()
    assert learned["left_30_60"].drop("early").notna().all()
    assert learned["left_60_90"].isna().all(), "not mature at the origin"
    assert learned["left_horizon"].isna().all()
    judged = rows[rows["split"] == "test"].set_index("customer_id")
    assert judged["left_horizon"].to_dict() == {"after": 1, "stays": 0}
