"""The days of a data set: when its files were taken, as far as they tell."""

from datetime import date, timedelta

from spanishgas.onboarding.proposal import CONTRACTS, Part, Proposal

# Events that have happened when they are written down, the surest first; prices, terms and renewals may lie ahead.
HAPPENED = ("consumption_hourly", "customer_interactions", "retention_offers", "churn_label", "consumption_periods")
AHEAD = ("costs_by_province_month", "price_history", "customer_contracts")
# Sources without a day of their own rows: known from the extraction on.
UNDATED = ("customer_attributes", "churn_label")


def propose_dates(proposal: Proposal, run_date: date | None) -> None:
    """`run_date` and `as_of` by the newest day that the files know; a question where the extraction decides something.

    Args:
        proposal: The proposal, which is changed.
        run_date: Day on which the files were taken, where somebody knows it.
    """
    newest, of = _newest(proposal)
    told = proposal.dates
    if run_date is not None:
        told["run_date"] = run_date
    if newest is not None and "run_date" not in told:
        told["run_date"] = newest
        proposal.reasons["run_date"] = f"the first day on which {of} was all known"
        proposal.questions.append(
            f"when were the files taken? run_date is {newest}, the first day on which {of} was all known; `run_date` "
            "and `extracted_on` say otherwise"
        )
    if "run_date" not in told:
        proposal.questions.append("when were the files taken? Nothing in them has a day: give run_date=YYYY-MM-DD")
        told["run_date"] = None
        return
    if "as_of" not in told:
        told["as_of"] = (told["run_date"]).replace(day=1) - timedelta(days=1)
        proposal.reasons["as_of"] = "the end of the last whole month"
    undated = [name for name in UNDATED if _is_undated(proposal, name)]
    if undated and "extracted_on" not in told:
        proposal.questions.append(
            f"from when on is what {' and '.join(undated)} say known? Rows without a day count from `extracted_on` on, "
            f"which is run_date ({told['run_date']}) as long as it is null"
        )
    if "labels" not in proposal.options and _without_churn_dates(proposal):
        proposal.options |= {"labels": "snapshot", "evaluation": "snapshot"}
        proposal.reasons["labels"] = "nobody says when customers left, so only labels of one window are possible"


def _newest(proposal: Proposal) -> tuple[date | None, str]:
    """The first day on which the newest event of a source was known, and the source."""
    for names in (HAPPENED, AHEAD):
        days = [
            (day, name.replace("_", " "))
            for name in names
            for part in proposal.sources[name].parts
            for day in [_known(name, part)]
            if day is not None
        ]
        if days:
            return max(days)
    return None, ""


def _known(name: str, part: Part) -> date | None:
    contract = CONTRACTS[name]
    days = []
    for column, delay in ((contract.event_time, contract.known_at.delay_days), ("recorded_at", 0)):
        line = part.lines.get(column or "")
        if line is None or line.question or line.raw not in part.group.columns:
            continue
        told = part.group.columns[line.raw].dates
        if told is not None and told.last is not None:
            last = told.last
            if contract.known_at.month_end and column == contract.event_time:
                last = (last.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
            days.append(last + timedelta(days=delay))
    return max(days, default=None)


def _is_undated(proposal: Proposal, name: str) -> bool:
    parts = proposal.sources[name].parts
    return any("recorded_at" not in part.lines and "churn_date" not in part.lines for part in parts)


def _without_churn_dates(proposal: Proposal) -> bool:
    parts = proposal.sources["churn_label"].parts
    return bool(parts) and all("churn_date" not in p.lines or p.lines["churn_date"].raw is None for p in parts)
