"""Stage `simulate`: what a run's plan is worth, what that hangs on, and in the demo world what it truly is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spanishgas.config import Settings
from spanishgas.contracts import Contract
from spanishgas.contracts.decisions import (
    BUDGET_CURVE,
    REPLAYED_POLICIES,
    SIMULATED_GROUPS,
    SIMULATED_SENSITIVITY,
)
from spanishgas.engine.store import Publication, TableStore
from spanishgas.policy import replay
from spanishgas.policy.simulation_report import plot_curve, plot_replay, plot_sensitivity, render
from spanishgas.policy.simulator import simulate
from spanishgas.registry import ModelRegistry
from spanishgas.stages.base import Build, PlainStage, Product, Report, Request, Target, Workspace
from spanishgas.stages.decisions import Decided, DecisionSettings, decide_from, decision_inputs
from spanishgas.stages.outlooks import demo_outlooks
from spanishgas.stages.recommend import STAGE as RECOMMEND
from spanishgas.stages.score import PARTITION
from spanishgas.stages.truth import find_truth

CONTRACTS: dict[str, Contract] = {
    table.name: table for table in (SIMULATED_GROUPS, SIMULATED_SENSITIVITY, BUDGET_CURVE, REPLAYED_POLICIES)
}


@dataclass(frozen=True)
class Replay:
    """The replay of a run: the table, and figures for the tracking store."""

    table: pd.DataFrame
    metrics: Mapping[str, float]


class Simulate(PlainStage):
    """One partition per run date."""

    name = "simulate"
    module = __name__

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """The run date, and the kind of demo world."""
        return {"run_date": settings.run_date.isoformat(), "world": getattr(settings.data, "world", "")}

    def requests(self, settings: Settings, store: TableStore) -> Sequence[Request]:
        """The recommendations of the run date."""
        return [Request(RECOMMEND, settings.model_copy(update={"force": False}), if_stale=True)]

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """The simulation of the run date."""
        view, inputs, manifests, contenders = decision_inputs(settings, store, models)
        truth = find_truth(store)
        if truth is not None:
            manifests["truth"] = truth
            inputs["truth"] = truth.content_hash
        publication = Publication(
            layer="gold", name="simulation", partition=f"{PARTITION}={settings.run_date.isoformat()}"
        )
        return [Target(publication, view, inputs, manifests, contenders)]

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Values the plan; in the demo world also by the truth."""
        (target,) = targets
        view = target.settings
        assert isinstance(view, DecisionSettings)
        found = decide_from(workspace, target)
        workspace.progress("trying other assumptions and budgets")
        simulation = simulate(found.decisions, found.respond, view.policy, view.run_date)
        replayed = _replay(workspace, target, view, found)
        tables = {
            SIMULATED_GROUPS.name: simulation.groups,
            SIMULATED_SENSITIVITY.name: simulation.sensitivity,
            BUDGET_CURVE.name: simulation.curve,
        }
        metrics = {
            "net_eur": float(simulation.groups["net_eur"].sum()),
            "spend_eur": float(simulation.groups["spend_eur"].sum()),
            "roi": found.decisions.plan.total / max(float(found.decisions.plan.spend.sum()), 1e-9),
        }
        headline = f"net {metrics['net_eur']:,.0f} EUR for {metrics['spend_eur']:,.0f} EUR, ROI {metrics['roi']:.2f}"
        figures = {
            "budget_curve": plot_curve(simulation.curve),
            "sensitivity": plot_sensitivity(simulation.sensitivity),
        }
        if replayed is not None:
            tables[REPLAYED_POLICIES.name] = replayed.table
            metrics |= replayed.metrics
            figures["replay"] = plot_replay(replayed.table)
            share = replayed.metrics.get("replay_share_of_informed", float("nan"))
            headline += f"; by the truth {share:.0%} of what whoever knows all that is recorded could earn"
        product = Product(
            tables={
                name: table[list(CONTRACTS[name].column_names)].reset_index(drop=True) for name, table in tables.items()
            },
            contracts=CONTRACTS,
            metrics=metrics,
            tags={"response": found.basis.response, "as_of": view.as_of.isoformat()},
        )
        report = Report(
            markdown=render(simulation, None if replayed is None else replayed.table, found.basis, found.past),
            figures=figures,
            texts={f"tables/{name}.csv": table.to_csv(index=False) for name, table in tables.items()},
            headline=headline,
        )
        return Build({target.publication: product}, report)


def _replay(workspace: Workspace, target: Target, view: DecisionSettings, found: Decided) -> Replay | None:
    """Policies by the ground truth, where there is one for the features' date."""
    if "truth" not in target.manifests:
        return None
    simulation = view.policy.simulation
    tell = demo_outlooks(workspace.engine, workspace.store, target.manifests["truth"], view.as_of, simulation)
    workspace.progress("replaying policies against the ground truth")
    policies = replay.replay(
        found.table.candidates, dict(found.responses), tell, view.policy, committed=found.decisions.committed
    )
    shares, informed = (
        replay.shares(policies, of=oracle, replicates=simulation.replicates, seed=simulation.seed)
        for oracle in (replay.ORACLE, replay.INFORMED)
    )
    rows = []
    for name, one in policies.items():
        none = replay.Share(name, 0.0, 0.0, 0.0)
        told = found.promise(one.plan, name) if name in found.responses and one.plan is not None else None
        share, attainable = shares.get(name, none), informed.get(name, none)
        rows.append(
            {
                "run_date": pd.Timestamp(view.run_date),
                "policy": name,
                "offers": round(one.offers),
                "promised_eur": float(one.promised.sum()) if told is None else told.value,
                "promised_lo_eur": np.nan if told is None else told.lo,
                "promised_hi_eur": np.nan if told is None else told.hi,
                "worth_eur": float(one.worth.sum()),
                "spend_eur": float(one.spend.sum()),
                "planned_spend_eur": one.planned_spend,
                "share": share.value,
                "lo": share.lo,
                "hi": share.hi,
                "share_of_informed": attainable.value,
                "informed_lo": attainable.lo,
                "informed_hi": attainable.hi,
            }
        )
    metrics = {
        "replay_oracle_eur": float(policies[replay.ORACLE].worth.sum()),
        "replay_informed_eur": float(policies[replay.INFORMED].worth.sum()),
        "replay_allocation_gap_share": found.decisions.plan.gap / max(found.decisions.plan.total, 1e-9),
    }
    for oracle, parts in ((replay.ORACLE, shares), (replay.INFORMED, informed)):
        key, ours = f"replay_share_of_{oracle}", parts[found.basis.response]
        metrics |= {key: ours.value, f"{key}_lo": ours.lo, f"{key}_hi": ours.hi}
        # Intervals of the others stand in the table: a run has room for so many metrics only.
        policies_told = [name for name in parts if name not in (oracle, replay.ORACLE, replay.WITH_TRAITS)]
        metrics |= {f"{key}_{name}": parts[name].value for name in policies_told}
    return Replay(pd.DataFrame(rows), {name: figure for name, figure in metrics.items() if np.isfinite(figure)})


STAGE = Simulate()
