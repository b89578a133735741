"""Stage `recommend`: who gets which offer, when, through which channel and why."""

from collections.abc import Mapping, Sequence

from spanishgas.config import Settings
from spanishgas.contracts import Contract
from spanishgas.contracts.decisions import (
    DECISION_STANDING,
    RECOMMENDATION_LIMITS,
    RECOMMENDATION_VETOES,
    RECOMMENDATIONS,
)
from spanishgas.engine.store import TableStore
from spanishgas.engine.suppression import Pseudonyms
from spanishgas.policy.reasons import causes_of_risk
from spanishgas.policy.recommendations import limit_rows, recommendation_rows, standing_rows, veto_rows
from spanishgas.policy.report import metrics_of, plot_reasons, render, winners_curse
from spanishgas.policy.schema import check_recommendations
from spanishgas.registry import ModelRegistry
from spanishgas.stages.base import Build, LandedFile, PlainStage, Product, Report, Request, Target, Workspace
from spanishgas.stages.decisions import DecisionSettings, decide_from, decision_inputs
from spanishgas.stages.earlier_runs import later_runs
from spanishgas.stages.places import TERMS, recommended_on
from spanishgas.stages.response import STAGE as RESPONSE_STAGE
from spanishgas.stages.score import STAGE as SCORE

CONTRACTS: dict[str, Contract] = {
    table.name: table for table in (RECOMMENDATIONS, RECOMMENDATION_VETOES, RECOMMENDATION_LIMITS, DECISION_STANDING)
}
TERMS_FILE = "terms.json"


class Recommend(PlainStage):
    """One partition per run date."""

    name = "recommend"
    spreads = True
    module = __name__

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """The run date."""
        return {"run_date": settings.run_date.isoformat()}

    def requests(self, settings: Settings, store: TableStore) -> Sequence[Request]:
        """The scores, and the response where it is to be learned."""
        calm = settings.model_copy(update={"force": False})
        wanted = [Request(SCORE, calm, if_stale=True)]
        if settings.policy.response.kind == "learned":
            wanted.append(Request(RESPONSE_STAGE, calm, if_stale=True))
        return wanted

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """The recommendations of the run date.

        Raises:
            PublishError: Features or silver tables are not published.
            PromotionError: There is no champion.
        """
        view, inputs, manifests, contenders = decision_inputs(settings, store, models)
        return [Target(recommended_on(settings.run_date), view, inputs, manifests, contenders)]

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Decides and explains."""
        (target,) = targets
        view = target.settings
        assert isinstance(view, DecisionSettings)
        found = decide_from(workspace, target)
        decisions = found.decisions
        workspace.progress("looking for reasons")
        contributions, _ = found.model.model.contributions(found.table.features[list(found.model.model.columns_)])
        table = recommendation_rows(decisions, causes_of_risk(contributions), found.respond, found.basis)
        check_recommendations(table)
        curse = (
            winners_curse(decisions, found.halves, view.policy) if found.basis.response == "learned" else float("nan")
        )
        limits = limit_rows(decisions, view.run_date)
        promise = found.promise(decisions.plan, found.basis.response)
        metrics = metrics_of(decisions, table, limits, found.table.left, curse, promise)
        file = workspace.drafts[target.publication] / TERMS_FILE
        found.terms.save(file)
        product = Product(
            tables={
                RECOMMENDATIONS.name: table,
                RECOMMENDATION_VETOES.name: veto_rows(decisions, view.run_date),
                RECOMMENDATION_LIMITS.name: limits,
                DECISION_STANDING.name: standing_rows(decisions.candidates, view.run_date),
            },
            contracts=CONTRACTS,
            landed={TERMS: [LandedFile.of(file, file.parent)]},
            order_by={
                RECOMMENDATIONS.name: ["customer_id"],
                RECOMMENDATION_VETOES.name: ["customer_id", "guardrail"],
                DECISION_STANDING.name: ["customer_id"],
            },
            metrics=metrics,
            tags={
                "as_of": view.as_of.isoformat(),
                "model_version": found.basis.model_version,
                "model_digest": found.basis.model_digest,
                "policy_version": found.basis.policy_version,
                "response": found.basis.response,
                "fallback": "; ".join(found.fallback),
                "campaign": found.basis.campaign,
            },
        )
        told = Pseudonyms.of(workspace.store.storage).without_names(table)
        offers = told[told["action"] != "none"]
        later = later_runs(view.policy, view.run_date, workspace.store)
        report = Report(
            markdown=render(decisions, told, limits, found.basis, metrics, found.table.missing, found.fallback),
            figures={"reasons": plot_reasons(table)},
            texts={"tables/offers.csv": offers.to_csv(index=False)},
            headline=(
                f"{len(offers):,} offers to {len(table):,} customers for {metrics['spend_eur']:,.0f} EUR, expected to "
                f"bring {metrics['expected_margin_impact_eur']:,.0f} EUR beyond their cost; promised with the held out "
                f"{promise.value:,.0f} EUR ({promise.lo:,.0f} to {promise.hi:,.0f}); "
                f"{int(metrics['held_out']):,} held out; response {found.basis.response}"
                + (f"; run `recommend` again for {', '.join(later)}, decided without this run" if later else "")
            ),
        )
        return Build({target.publication: product}, report)


STAGE = Recommend()
