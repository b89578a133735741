"""A retailer whose tables are published without running a stage: decisions by the policy, everything else drawn."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from spanishgas.config import TrackingSettings
from spanishgas.contracts import Contract
from spanishgas.contracts.checks import check_frame
from spanishgas.contracts.decisions import POLICY_TABLES
from spanishgas.contracts.gold import GOLD_TABLES
from spanishgas.contracts.silver import SILVER_TABLES
from spanishgas.domain.survival import STATED, Calendar
from spanishgas.engine.store import DataFile, Publication, PublishedTable, TableStore
from spanishgas.policy.candidates import HAZARDS, Candidates
from spanishgas.policy.decide import Decisions, decide
from spanishgas.policy.measurement import follow, measure
from spanishgas.policy.recommendations import (
    Basis,
    limit_rows,
    outlook_of,
    recommendation_rows,
    standing_rows,
    veto_rows,
)
from spanishgas.policy.response import assumed
from spanishgas.policy.simulator import simulate
from spanishgas.policy.terms import Terms
from spanishgas.registry import JUDGED_VERSION_TAG, LEARNED_TAG, Tracker
from spanishgas.registry.champions import Decision
from spanishgas.registry.models import DIGEST_TAG
from tests.policy.worlds import changed, population
from tests.support import without_tracking_variables

CONTRACTS: dict[str, Contract] = {one.name: one for one in (*POLICY_TABLES, *GOLD_TABLES, *SILVER_TABLES)}
POLICY = changed(
    budget={"eur_per_customer": 0.6, "windows": (None, None, None), "channels": {}}, holdout={"share": 0.2}
)
POLICY = changed(
    POLICY,
    simulation={"acceptance_factors": (0.5, 1.0), "risk_factors": (0.5, 1.0), "budget_factors": (0.5, 1.0, 2.0)},
)
NEWEST = date(2026, 2, 9)
RUN_DATES = (date(2025, 12, 9), date(2026, 1, 9), NEWEST)
SEGMENTS = {"S1": ("Homes, low use", "Hogares, consumo bajo"), "S2": ("Businesses", "Empresas")}
PROVINCES = ("08", "28", "41", "46")
CAUSES = (("price_above_market", "contract_renewal"), ("complaint",), ())
CHAMPION_DIGEST, CHALLENGER_DIGEST = "c" * 64, "d" * 64


def as_of_for(day: date) -> date:
    """The month end before a run date."""
    return day.replace(day=1) - timedelta(days=1)


def publish(
    root: Path,
    publication: Publication,
    tables: Mapping[str, pd.DataFrame],
    *,
    run_id: str = "",
    tags: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    inputs: Mapping[str, str] | None = None,
    landed: Mapping[str, Path] | None = None,
    check: bool = True,
) -> None:
    """Publishes frames as a stage would, each checked against its contract."""
    store = TableStore(root)
    with store.lock(publication), store.draft(publication) as draft:
        written = {}
        for name, frame in tables.items():
            if check and name in CONTRACTS:
                check_frame(CONTRACTS[name], frame)
            table = pa.Table.from_pandas(frame, preserve_index=False)
            file = draft.file(name)
            pq.write_table(table, file, compression="zstd", row_group_size=122_880)
            digest = pd.util.hash_pandas_object(frame.astype(str), index=False).sum()
            written[name] = PublishedTable(
                files=(DataFile(path=file.relative_to(draft.folder).as_posix()),),
                rows=len(frame),
                content_hash=f"{int(digest):x}",
                contract_version=CONTRACTS[name].version if name in CONTRACTS else 1,
                columns={field.name: str(field.type) for field in table.schema},
            )
        for name, file in (landed or {}).items():
            shutil.copyfile(file, draft.folder / file.name)
            written[name] = PublishedTable(
                files=(DataFile(path=file.name, origin=file.name),),
                rows=0,
                content_hash=hashlib.sha256(file.read_bytes()).hexdigest(),
                contract_version=0,
                columns={},
            )
        draft.commit(
            fingerprint=f"{abs(hash(str(publication))):064x}"[:64],
            inputs=inputs or {},
            tables=written,
            metrics=metrics or {},
            tags=tags or {},
            run_id=run_id,
        )


def people(count: int, seed: int = 0) -> Candidates:
    """Customers of every kind whose standing the clean tables below can tell."""
    found = population(count, seed)
    gap = np.full(count, np.nan)
    # Where no term is known there is no renewal either.
    renewal = np.where(np.isnan(found["term_age_days"]), np.nan, found["days_to_renewal"])
    known = replace(found, numbers={**found.numbers, "days_since_held_out": gap, "days_to_renewal": renewal})
    return known.looking_ahead(STATED, Calendar.of({}, "2025-01-31"), POLICY.economics.horizon_months)


def decided_on(day: date, candidates: Candidates) -> tuple[Decisions, pd.DataFrame, Terms]:
    """A decision, its table of recommendations, and what it was taken under."""
    respond = assumed(POLICY.response.assumed, candidates)
    decisions = decide(candidates, respond, POLICY, day.isoformat())
    basis = Basis(
        run_date=day,
        as_of=as_of_for(day),
        campaign=day.isoformat(),
        model_version="2",
        model_digest=CHAMPION_DIGEST,
        policy_version="p1",
        response="assumed",
        is_timed_by_contract=False,
        segment_names={key: names[0] for key, names in SEGMENTS.items()},
    )
    causes = np.empty(len(candidates), object)
    for row in range(len(candidates)):
        causes[row] = CAUSES[row % len(CAUSES)]
    table = recommendation_rows(decisions, causes, respond, basis)
    return decisions, table, Terms(POLICY, basis, None, STATED)


def publish_decision(
    root: Path, day: date, candidates: Candidates, *, run_id: str, inputs: Mapping[str, str]
) -> pd.DataFrame:
    """Scores, recommendations and the simulation of a run date; returns the recommendations."""
    decisions, table, terms = decided_on(day, candidates)
    stamp = pd.Timestamp(day)
    tags = {"as_of": as_of_for(day).isoformat(), "model_version": "2", "model_digest": CHAMPION_DIGEST}
    scores = pd.DataFrame(
        {
            "run_date": stamp,
            "customer_id": candidates.ids,
            "risk": candidates.risk,
            **outlook_of(candidates, POLICY).columns,
            **{name: candidates.hazards[:, place] for place, name in enumerate(HAZARDS)},
            "risk_rank": pd.Series(candidates.risk).rank(ascending=False, method="first").astype("int64"),
            "as_of": pd.Timestamp(as_of_for(day)),
            "model_version": "2",
            "model_digest": CHAMPION_DIGEST,
            "features_hash": "f",
        }
    )
    on = f"run_date={day.isoformat()}"
    publish(root, Publication(layer="gold", name="scoring", partition=on), {"scoring": scores}, tags=tags)
    offers = table[table["action"] != "none"]
    file = root / "terms.json"
    terms.save(file)
    publish(
        root,
        Publication(layer="gold", name="recommendations", partition=on),
        {
            "recommendations": table,
            "recommendation_vetoes": veto_rows(decisions, day),
            "recommendation_limits": limit_rows(decisions, day),
            "decision_standing": standing_rows(candidates, day),
        },
        landed={"decision_terms": file},
        run_id=run_id,
        tags={**tags, "response": "assumed", "policy_version": "p1", "campaign": day.isoformat(), "fallback": ""},
        metrics={
            "customers": float(len(table)),
            "offers": float(len(offers)),
            "held_out": float(table["is_held_out"].sum()),
            "spend_eur": float(offers["expected_spend"].sum()),
            "budget_eur": float(decisions.limits.budget),
            "expected_margin_impact_eur": float(offers["expected_margin_impact"].sum()),
        },
        inputs=inputs,
    )
    simulation = simulate(decisions, assumed(POLICY.response.assumed, candidates), POLICY, day)
    frames = {
        "simulated_groups": simulation.groups,
        "simulated_sensitivity": simulation.sensitivity,
        "budget_curve": simulation.curve,
    }
    publish(
        root,
        Publication(layer="gold", name="simulation", partition=on),
        {name: frame[list(CONTRACTS[name].column_names)] for name, frame in frames.items()},
        tags={"response": "assumed"},
    )
    return table


def silver_tables(candidates: Candidates, day: date, days: int, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Clean tables that tell of every customer what the decision of a day knew."""
    rng = np.random.default_rng(seed)
    ids, count = candidates.ids, len(candidates)
    known = [day - timedelta(days=400)] * count

    def flags(name: str) -> Any:
        return pd.array([None if np.isnan(value) else bool(value) for value in candidates[name]], dtype="boolean")

    def ago(name: str) -> list[date | None]:
        return [None if np.isnan(value) else day - timedelta(days=int(value)) for value in candidates[name]]

    kinds = candidates.kind
    customers = pd.DataFrame(
        {
            "customer_id": ids,
            "contracted_power_kw": np.round(rng.uniform(2, 12, count), 2),
            "is_industrial": pd.array(kinds == "business", dtype="boolean"),
            "is_second_residence": pd.array(kinds == "second_home", dtype="boolean"),
            "province_code": rng.choice(PROVINCES, count),
            "region": "Una",
            "is_high_competition_province": pd.array([True] * count, dtype="boolean"),
            "is_urban": pd.array([True] * count, dtype="boolean"),
            "sales_channel": rng.choice(["oficina", "comparador"], count),
            "is_vulnerable": flags("is_vulnerable"),
            "marketing_consent": flags("marketing_consent"),
            "phone_consent": flags("phone_consent"),
            "known_at": known,
            "is_snapshot": False,
        }
    )
    begun = ago("term_age_days")
    has_term = [start is not None for start in begun]
    renewals = [
        None if np.isnan(value) else day + timedelta(days=int(value)) for value in candidates["days_to_renewal"]
    ]
    contracts = pd.DataFrame(
        {
            "customer_id": ids,
            "customer_first_activation_date": [start and start - timedelta(days=365) for start in begun],
            "contract_start_date": begun,
            "last_product_change_date": None,
            "next_renewal_date": renewals,
            "known_at": begun,
        }
    )[has_term].reset_index(drop=True)
    months = [date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1)]
    prices = pd.DataFrame(
        {
            "customer_id": np.repeat(ids, len(months)),
            "pricing_date": months * count,
            **{f"variable_price_tier{tier}_eur_kwh": 0.10 + 0.03 * tier for tier in (1, 2, 3)},
            **dict.fromkeys(
                (
                    "elec_fixed_fee_eur_month",
                    "elec_fixed_cost_eur_month",
                    "elec_fixed_price_eur_kw_year",
                    "gas_variable_price_eur_m3",
                    "gas_fixed_revenue_eur_year",
                    "gas_fixed_cost_eur_year",
                ),
                5.0,
            ),
            "known_at": months * count,
        }
    )
    spoke = ago("days_since_contact")
    interactions = pd.DataFrame(
        {
            "customer_id": ids,
            "date": spoke,
            "channel": "phone",
            "interaction_summary": "Pregunta por su factura <b>",
            "known_at": spoke,
        }
    ).dropna(ignore_index=True)
    offered = ago("days_since_offer")
    retention = pd.DataFrame(
        {
            "campaign_id": "K1",
            "customer_id": ids,
            "offer_date": offered,
            "channel": "email",
            "action": "small",
            "timing_window": "immediate",
            "propensity": 0.5,
            "accepted": pd.array([False] * count, dtype="boolean"),
            "known_at": offered,
        }
    ).dropna(subset=["offer_date"], ignore_index=True)
    last = as_of_for(day)
    metered = [last - timedelta(days=back) for back in range(days - 1, -1, -1)]
    rows = count * days
    daily = pd.DataFrame(
        {
            "customer_id": np.repeat(ids, days),
            "day": np.tile(np.array(metered, dtype=object), count),
            "elec_p1_kwh": 2.0,
            "elec_p2_kwh": 3.0,
            "elec_p3_kwh": 4.0,
            "gas_m3": 0.0,
            "gas_kwh": 0.0,
            "hours_expected": np.full(rows, 24, np.int64),
            "hours_seen": np.full(rows, 24, np.int64),
            "elec_negative_count": np.zeros(rows, np.int64),
            "elec_negative_kwh": 0.0,
            "gas_negative_count": np.zeros(rows, np.int64),
            "gas_negative_m3": 0.0,
            "estimated_count": np.zeros(rows, np.int64),
            "estimated_kwh": 0.0,
            "duplicate_count": np.zeros(rows, np.int64),
            "known_at": np.tile(np.array([one + timedelta(days=1) for one in metered], dtype=object), count),
        }
    )
    churn = pd.DataFrame(
        {
            "customer_id": ids,
            "churn": False,
            "churn_date": pd.Series([None] * count, dtype=object),
            "reason": pd.Series([None] * count, dtype=object),
            "known_at": known,
        }
    )
    return {
        "customers": customers,
        "contracts": contracts,
        "prices": prices,
        "interactions": interactions,
        "consumption_daily": daily,
        "churn_events": churn,
        "retention_offers": retention,
    }


DATES = {
    "contracts": (
        "customer_first_activation_date",
        "contract_start_date",
        "last_product_change_date",
        "next_renewal_date",
    ),
    "churn_events": ("churn_date",),
}


def publish_silver(root: Path, tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Publishes clean tables; returns their content hashes, by name, as inputs of decisions."""
    typed = {
        name: frame.assign(
            **{column: pd.to_datetime(frame[column]).dt.date.astype(object) for column in DATES.get(name, ())}
        )
        for name, frame in tables.items()
    }
    publication = Publication(layer="silver", name="silver")
    store = TableStore(root)
    with store.lock(publication), store.draft(publication) as draft:
        written = {}
        for name, frame in typed.items():
            fields = [pa.field(column, pa.date32()) if _is_day(name, column) else None for column in frame.columns]
            table = pa.Table.from_pandas(frame, preserve_index=False)
            for place, field in enumerate(fields):
                if field is not None:
                    table = table.set_column(place, field, table.column(place).cast(pa.date32()))
                elif pa.types.is_null(table.schema.field(place).type):
                    table = table.set_column(
                        place, pa.field(frame.columns[place], pa.string()), table.column(place).cast(pa.string())
                    )
            file = draft.file(name)
            pq.write_table(table, file, compression="zstd", row_group_size=122_880)
            written[name] = PublishedTable(
                files=(DataFile(path=file.relative_to(draft.folder).as_posix()),),
                rows=len(frame),
                content_hash=hashlib.sha256(file.read_bytes()).hexdigest(),
                contract_version=1,
                columns={field.name: str(field.type) for field in table.schema},
            )
        draft.commit(
            fingerprint="5" * 64, inputs={}, tables=written, metrics={}, tags={"latest_event": "2026-01-31"}, run_id=""
        )
    return {name: table.content_hash for name, table in written.items()}


def _is_day(table: str, column: str) -> bool:
    return CONTRACTS[table].column(column).type == "date"


def publish_features(root: Path, candidates: Candidates, day: date) -> str:
    """Features of a date, those that the dashboard reads; returns their content hash."""
    frame = pd.DataFrame(
        {
            "customer_id": candidates.ids,
            "as_of": pd.Timestamp(day),
            "is_business": pd.array(candidates.kind == "business", dtype="boolean"),
            "is_second_home": pd.array(candidates.kind == "second_home", dtype="boolean"),
        }
    )
    publication = Publication(layer="gold", name="features", partition=f"asof_date={day.isoformat()}")
    publish(root, publication, {"customer_features_asof_date": frame})
    manifest = TableStore(root).find(publication)
    assert manifest is not None
    return manifest.tables["customer_features_asof_date"].content_hash


def publish_segments(root: Path, candidates: Candidates, day: date) -> None:
    """Segments of a date."""
    stamp = pd.Timestamp(day)
    known = candidates.segment != ""
    segments = pd.DataFrame(
        {
            "customer_id": candidates.ids[known],
            "as_of": stamp,
            "segment_id": candidates.segment[known],
            "segment_name": [SEGMENTS[str(one)][0] for one in candidates.segment[known]],
        }
    )
    sizes = segments["segment_id"].value_counts()
    summary = pd.DataFrame(
        [
            {
                "as_of": stamp,
                "segment_id": key,
                "name_en": english,
                "name_es": spanish,
                "customers": int(sizes[key]),
                "share": float(sizes[key] / len(segments)),
                "margin_eur_month": 12.5 + number,
                "churn_rate": 0.04 + 0.03 * number,
                "churn_rows": 1000,
            }
            for number, (key, (english, spanish)) in enumerate(SEGMENTS.items())
        ]
    )
    profiles = pd.DataFrame(
        [
            {"as_of": stamp, "segment_id": key, "feature": feature, "mean": 1.0, "overall_mean": 2.0, "z": z}
            for key, sign in (("S1", -1.0), ("S2", 1.0))
            for feature, z in (("elec_kwh_365d", 0.9 * sign), ("is_business", 1.4 * sign), ("tenure_days", 0.1 * sign))
        ]
    )
    publish(
        root,
        Publication(layer="gold", name="segments", partition=f"asof_date={day.isoformat()}"),
        {"segments": segments, "segment_profiles": profiles, "segment_summary": summary},
    )


def publish_models(root: Path, rows: int = 300, seed: int = 0) -> None:
    """A comparison of champion and challenger, the rows it was made on, and a backtest."""
    rng = np.random.default_rng(seed)
    day = pd.Timestamp(2025, 9, 30)
    true = rng.beta(1.5, 20, rows)
    left = (rng.uniform(size=rows) < true).astype(float)
    ids = [f"T{number:05d}" for number in range(rows)]
    training = pd.DataFrame(
        {"customer_id": ids, "as_of": day, "split": "test", "left_horizon": left, "price_over_peers": 0.0}
    )
    publish(root, Publication(layer="gold", name="training_set"), {"churn_training_dataset": training}, check=False)
    manifest = TableStore(root).find(Publication(layer="gold", name="training_set"))
    assert manifest is not None
    parts = [
        pd.DataFrame(
            {
                "customer_id": ids,
                "as_of": day,
                "contender": role,
                "risk": np.clip(true + rng.normal(0, noise, rows), 0.001, 0.9),
                **dict.fromkeys(HAZARDS, np.nan),
            }
        )
        for role, noise in (("champion", 0.02), ("challenger", 0.01))
    ]
    metrics = ("pr_auc", "roc_auc", "recall_at_10", "lift_at_10", "ece", "calibration_slope", "observed_over_expected")
    figures = pd.DataFrame(
        [
            {
                "contender": role,
                "model_version": version,
                "metric": name,
                "value": 0.5 + 0.01 * number,
                "lo": 0.4,
                "hi": 0.6,
            }
            for role, version in (("champion", "v2"), ("challenger", "v3"))
            for number, name in enumerate(metrics)
        ]
    )
    gates = pd.DataFrame(
        [
            {"gate": "better", "state": "failed", "sentence": "not better beyond noise"},
            {"gate": "calibrated", "state": "passed", "sentence": "slope 0.9"},
            {"gate": "groups", "state": "not asked", "sentence": "there are no groups"},
        ]
    )
    publish(
        root,
        Publication(layer="gold", name="promotion", partition="contest=dddddddd-cccccccc"),
        {
            "promotion_scores": pd.concat(parts, ignore_index=True),
            "promotion_figures": figures,
            "promotion_gates": gates,
        },
        inputs={
            "champion": CHAMPION_DIGEST,
            "challenger": CHALLENGER_DIGEST,
            "training_set": manifest.content_hash,
        },
    )
    backtest = pd.DataFrame(
        [
            {
                "origin": pd.Timestamp(2025, month, 28),
                "metric": "pr_auc",
                "value": 0.2 + month / 100,
                "lo": 0.1,
                "hi": 0.4,
            }
            for month in (6, 7, 8)
        ]
    )
    publish(
        root,
        Publication(layer="gold", name="backtest", partition="model=xgboost-1"),
        {"backtest_metrics": backtest},
    )


def make_registry(tracking: TrackingSettings) -> str:
    """Versions, aliases, a history of two decisions, and a run with a report; returns that run's id."""
    tracker = Tracker(tracking)
    client = tracker.client
    with tracker.run("recommend", tags={"stage": "recommend"}) as run:
        made_by = run.id
        run.log_text("<h1>All checks</h1>", "evidently/drift.html")
    client.create_registered_model("churn")
    for digest in ("b" * 64, CHAMPION_DIGEST, CHALLENGER_DIGEST):
        # The champion is the refit of the first version.
        refit = {LEARNED_TAG: "2025-09-30", JUDGED_VERSION_TAG: "1"} if digest == CHAMPION_DIGEST else {}
        tags = {DIGEST_TAG: digest, "kind": "xgboost", **refit}
        client.create_model_version("churn", source="file:///nowhere", tags=tags)
    client.set_registered_model_alias("churn", "champion", "2")
    client.set_registered_model_alias("churn", "challenger", "3")
    for action, candidate, before, after, reason in (
        ("promoted", "2", "", "2", "It ranks better than chance."),
        ("refused", "3", "2", "2", "Not better beyond noise."),
    ):
        with tracker.run("promote", tags={"stage": "promote"}) as run:
            when = datetime(2026, 2, int(candidate), 9, 30, tzinfo=UTC).isoformat()
            run.set_tags(
                Decision("churn", action, "done", when, "ana", candidate, before, after, reason).tags  # type: ignore[arg-type]
            )
    return made_by


def after(earlier: Sequence[pd.DataFrame], candidates: Candidates, day: date) -> Candidates:
    """The same customers with what earlier runs planned for them, as a decision reads it."""
    if not earlier:
        return candidates
    rows = pd.concat(earlier)
    rows["days"] = (pd.Timestamp(day) - rows["run_date"]).dt.days.astype("float64")
    held = rows["is_held_out"]
    made = rows[(rows["planned_action"] != "none") & ~held].groupby("customer_id")["days"].min()
    kept = rows[held].groupby("customer_id")["days"].min()
    numbers = {
        **candidates.numbers,
        "days_since_held_out": kept.reindex(candidates.ids).to_numpy(np.float64),
        "days_since_offer": np.fmin(candidates["days_since_offer"], made.reindex(candidates.ids).to_numpy(np.float64)),
    }
    return replace(candidates, numbers=numbers)


def publish_monitoring(root: Path, day: date, *, state: str = "alarm", retrain: bool = False, run_id: str = "") -> None:
    """Drift, performance, business and the retraining signal of a run date, in the columns that they are read by."""
    stamp, on = pd.Timestamp(day), f"run_date={day.isoformat()}"
    alarms = int(state == "alarm")
    summary = pd.DataFrame(
        [
            {
                "run_date": stamp,
                "state": state,
                "roots": "distribution:price_over_peers" if alarms else "",
                "alarms": 2 * alarms,
                "root_alarms": alarms,
                "unknown": 1,
                "checks": 40,
                "customers": 90,
                "reference_rows": 400,
                "as_of": pd.Timestamp(as_of_for(day)),
                "reference_as_of": pd.Timestamp(2025, 2, 28),
                "season_gap_months": 0,
                "model_version": "2",
                "model_digest": CHAMPION_DIGEST,
                "prediction_psi": 0.04,
                "mean_risk": 0.061,
                "reference_mean_risk": 0.052,
                "largest_psi": 0.31,
                "largest_psi_feature": "price_over_peers",
            }
        ]
    )
    checks = pd.DataFrame(
        [
            {
                "run_date": stamp,
                "check": check,
                "subject": subject,
                "family": "price",
                "state": told,
                "role": role,
                "root": "",
                "value": value,
                "limit": 0.2,
                "p_value": 0.001,
                "p_adjusted": 0.01,
                "reference": 0.1,
                "current": 0.2,
                "is_used": True,
                "sentence": f"{subject}: {value}",
            }
            for check, subject, told, role, value in (
                ("freshness", "prices", "ok", "none", 3.0),
                ("distribution", "price_over_peers", state, "root" if alarms else "none", 0.31),
                ("missingness", "gas_kwh_365d", "unknown", "none", float("nan")),
            )
        ]
    )
    bins = pd.DataFrame(
        [
            {
                "run_date": stamp,
                "subject": "price_over_peers",
                "place": place,
                "label": label,
                "reference_share": then,
                "current_share": now,
            }
            for place, (label, then, now) in enumerate((("< 0", 0.6, 0.4), (">= 0", 0.3, 0.5), ("missing", 0.1, 0.1)))
        ]
    )
    drift = {"drift_summary": summary, "drift_checks": checks, "drift_bins": bins}
    publish(root, Publication(layer="gold", name="drift", partition=on), drift, run_id=run_id)

    def performance(group: str, member: str, label: str, metric: str, value: float, status: str) -> dict[str, object]:
        return {
            "run_date": stamp,
            "population": "untreated",
            "group": group,
            "member": member,
            "label": label,
            "metric": metric,
            "status": status,
            "value": value,
            "lo": value - 0.05,
            "hi": value + 0.05,
            "floor": 0.1,
            "ceiling": float("nan"),
            "state": "ok",
            "rows": 90,
            "weight": 90.0,
            "leavers": pd.NA if status == "estimated" else 6,
            "observed": 0.06,
            "expected": 0.05,
            "model_version": "2",
        }

    figures = pd.DataFrame(
        [
            performance(group, member, label, metric, base + step, status)
            for metric, base in (("pr_auc", 0.2), ("observed_over_expected", 1.0))
            for step, (group, member, label, status) in enumerate(
                (
                    ("all", "all", "all", "measured"),
                    ("month", "2025-10-31", "Oct 2025", "measured"),
                    ("month", "2025-12-31", "Dec 2025", "estimated"),
                    ("segment", "S1", "Homes", "measured"),
                )
            )
        ]
    )
    figures["leavers"] = figures["leavers"].astype("Int64")
    reliability = pd.DataFrame(
        [
            {
                "run_date": stamp,
                "population": "untreated",
                "place": place,
                "rows": 30,
                "predicted": 0.02 * (place + 1),
                "observed": 0.03 * (place + 1),
                "lo": 0.01 * (place + 1),
                "hi": 0.05 * (place + 1),
            }
            for place in range(3)
        ]
    )
    business = pd.DataFrame(
        [
            {
                "run_date": stamp,
                "month": pd.Timestamp(2025, 10, 1),
                "decisions": 1,
                "customers": 90,
                "offers": 12,
                "held_out": 3,
                "spend_eur": 45.5,
                "expected_margin_eur": 30.25,
                "followed_days": 90,
                "status": "unknown",
                "effect": float("nan"),
                "lo": float("nan"),
                "hi": float("nan"),
                "measured_margin_eur": float("nan"),
                "measured_lo_eur": float("nan"),
                "measured_hi_eur": float("nan"),
                "verdict": "too few were held out to tell",
            }
        ]
    )
    signal = pd.DataFrame(
        [
            {
                "run_date": stamp,
                "retrain": retrain,
                "investigate": bool(alarms),
                "reasons": "performance|age" if retrain else "",
                "held_back_by": "",
                "model_version": "2",
                "model_digest": CHAMPION_DIGEST,
                "model_age_days": 132,
                "days_since_training": 40,
                "new_leavers": 57,
                "evidence": json.dumps({"floor": 0.1}),
            }
        ]
    )
    publish(
        root,
        Publication(layer="gold", name="performance", partition=on),
        {
            "model_performance": figures,
            "performance_reliability": reliability,
            "business_months": business,
        },
        run_id=run_id,
    )
    publish(root, Publication(layer="gold", name="retrain_signal", partition=on), {"retrain_signal": signal})


def publish_measurement(root: Path, decided: Sequence[pd.DataFrame], day: date) -> None:
    """What the offers of all run dates did, had every fifth customer left a month after the first."""
    ids = decided[0]["customer_id"]
    left_on = pd.Series(pd.NaT, index=ids, dtype="datetime64[s]")
    left_on.iloc[::5] = pd.Timestamp(decided[0]["run_date"].iloc[0]) + pd.Timedelta(days=31)
    rows = pd.concat([follow(one, left_on, 90, POLICY.economics) for one in decided], ignore_index=True)
    table = measure(rows, day)[list(CONTRACTS["measured_effect"].column_names)]
    on = f"run_date={day.isoformat()}"
    publish(root, Publication(layer="gold", name="measured", partition=on), {"measured_effect": table})


def publish_retailer(
    root: Path, *, run_id: str = "", customers: int = 90, days: int = 70, run_dates: Sequence[date] = RUN_DATES
) -> None:
    """Everything that the pages read, but for monitoring."""
    newest = people(customers, len(run_dates) - 1)
    inputs = publish_silver(root, silver_tables(newest, run_dates[-1], days))
    inputs["features"] = publish_features(root, newest, as_of_for(run_dates[-1]))
    publish_segments(root, newest, as_of_for(run_dates[-1]))
    decided: list[pd.DataFrame] = []
    for number, day in enumerate(run_dates):
        candidates = after(decided, people(customers, number), day)
        decided.append(publish_decision(root, day, candidates, run_id=run_id, inputs=inputs))
    publish_measurement(root, decided, run_dates[-1])
    publish_models(root)


def make_shop(folder: Path, empty_store: Path) -> None:
    """Everything that the pages read, in a folder with ``data``, ``mlflow.db`` and ``mlruns``."""
    shutil.copy(empty_store, folder / "mlflow.db")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    tracking = TrackingSettings(uri=uri, artifacts=folder / "mlruns", experiment="spanishgas")
    with without_tracking_variables():
        publish_retailer(folder / "data", run_id=make_registry(tracking))
