"""docs/RECOMMENDATION_POLICY.md says what the code does: its tables stand beside contract, settings and reasons."""

import ast
import inspect
import re
import sys
from pathlib import Path

import pytest
from annotated_types import Ge, MaxLen, MinLen

from spanishgas.config import BudgetSettings, EconomicsSettings, GuardrailSettings, HoldoutSettings
from spanishgas.contracts.decisions import PAST_POLICIES, RECOMMENDATIONS, REPLAYED_POLICIES
from spanishgas.policy.candidates import NUMBERS
from spanishgas.policy.guardrails import GUARDRAILS
from spanishgas.policy.reasons import REASONS
from spanishgas.policy.replay import WITH_TRUE
from spanishgas.policy.schema import Recommendation
from tests.policy.worlds import delivered

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "RECOMMENDATION_POLICY.md").read_text(encoding="utf-8")
HAZARDS = ("hazard_0_30", "hazard_30_60", "hazard_60_90")
AS_OF = {"margin_eur_month", "bill_eur_month"}


def tables() -> dict[str, list[list[str]]]:
    """Rows of every table of the page by the names of its columns."""
    found: dict[str, list[list[str]]] = {}
    lines = TEXT.splitlines()
    for number, line in enumerate(lines):
        if re.fullmatch(r"\|( ---:? \|)+", line):
            rows = []
            for row in lines[number + 1 :]:
                if not row.startswith("|"):
                    break
                rows.append([cell.strip() for cell in row.strip("|").split("|")])
            name = lines[number - 1].strip("| ")
            assert name not in found
            found[name] = rows
    return found


TABLES = tables()


def one_table(first: str, *, columns: int) -> list[list[str]]:
    """The table whose first column has this name."""
    (rows,) = (rows for name, rows in TABLES.items() if name.split(" | ")[0] == first)
    assert all(len(row) == columns for row in rows)
    return rows


def code(text: str) -> str:
    """What stands between backticks."""
    assert re.fullmatch(r"`[^`]+`", text), text
    return text[1:-1]


def told(value: object) -> str:
    """A setting as the page writes it."""
    if value is None:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{told(weight)} {name}" for name, weight in value.items())
    if isinstance(value, tuple):
        return ", ".join(map(told, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def setting(path: str) -> object:
    """A setting of the delivered policy by its dotted name."""
    value: object = delivered()
    for name in path.split("."):
        value = getattr(value, name)
    return value


def range_of(name: str) -> str:
    """The range of a field, by the contract of the table and the model of one recommendation."""
    column = next(column for column in RECOMMENDATIONS.columns if column.name == name)
    assert not column.nullable
    if column.domain is not None:
        return ", ".join(f"`{word}`" for word in column.domain)
    if column.minimum is not None and column.maximum is not None:
        return f"{column.minimum:g} to {column.maximum:g}"
    if name == "as_of":
        return "not after `run_date`"
    rules = Recommendation.model_fields[name].metadata
    least = [rule.min_length for rule in rules if isinstance(rule, MinLen)]
    most = [rule.max_length for rule in rules if isinstance(rule, MaxLen)]
    if most:
        return f"{least[0]} to {most[0]} codes"
    if least == [1]:
        return "not empty"
    if any(isinstance(rule, Ge) and rule.ge == 0 for rule in rules):
        return "0 or more"
    return "any"


def test_every_required_field_stands_with_its_type_and_range() -> None:
    fields = [name for field in Recommendation.model_fields for name in (HAZARDS if field == "hazards" else (field,))]
    types = {column.name: column.type for column in RECOMMENDATIONS.columns}
    wanted = [(name, types[name], range_of(name)) for name in fields]
    found = [(code(name), kind, limits) for name, kind, limits, _ in one_table("field", columns=4)]
    assert found == wanted


def test_what_is_read_when_is_all_that_is_read() -> None:
    early, late = one_table("read", columns=2)
    assert (early[0], late[0]) == ("at `as_of`", "on the run date")
    assert set(re.findall(r"`(\w+)`", early[1])) == AS_OF
    assert re.findall(r"`(\w+)`", late[1]) == [name for name in NUMBERS if name not in AS_OF]


def test_offers_stand_with_share_acceptance_and_effect() -> None:
    policy, assumed = delivered(), delivered().response.assumed
    wanted = [
        (
            action,
            f"{policy.discount_share[action] * 100:g} %",
            ", ".join(f"{chance * 100:g} %" for chance in assumed.acceptance[action]),
            told(assumed.accepted_hazard_ratio[action]),
        )
        for action in ("small", "medium", "large")
    ]
    assert [(code(row[0]), *row[1:]) for row in one_table("offer", columns=4)] == wanted
    factors = ", ".join(f"{kind} {factor:g}" for kind, factor in assumed.acceptance_factor.items())
    assert f"the assumed acceptance is scaled: {factors}." in " ".join(TEXT.split())


def test_channels_stand_with_cost_capacity_and_what_unknown_consent_leaves() -> None:
    policy = delivered()
    capacity, open_channels = policy.budget.channels, policy.guardrails.channels_without_consent
    wanted = [
        (
            channel,
            f"{cost:.2f} EUR",
            f"{capacity[channel] * 100:g} % of customers" if channel in capacity else "no limit",
            "open" if channel in open_channels else "closed",
        )
        for channel, cost in zip(policy.channels, policy.contact_costs, strict=True)
    ]
    assert [(code(row[0]), *row[1:]) for row in one_table("channel", columns=4)] == wanted


def test_settings_stand_with_their_defaults() -> None:
    found = {code(name): default for name, default, _ in one_table("setting", columns=3)}
    assert found == {name: told(setting(name)) for name in found}
    needed = {f"economics.{name}" for name in EconomicsSettings.model_fields}
    needed |= {f"holdout.{name}" for name in HoldoutSettings.model_fields if name != "salt"}
    needed |= {f"budget.{name}" for name in BudgetSettings.model_fields} - {"budget.channels"}
    needed |= {f"response.learned.{name}" for name in ("min_effective_share",)}
    needed |= {"response.kind", "response.assumed.contact_hazard_ratio", "prices_valid_days"}
    assert set(found) == needed


def settings_read_by(guardrail: str) -> set[str]:
    """Settings that a guardrail's module reads, by the names that stand in its code."""
    tree = ast.parse(inspect.getsource(sys.modules[f"spanishgas.policy.guardrails.{guardrail}"]))
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    own = names & set(GuardrailSettings.model_fields)
    return own | ({"holdout.days"} if {"holdout", "days"} <= names else set())


def test_guardrails_stand_in_their_order_with_their_settings_and_defaults() -> None:
    rows = one_table("guardrail", columns=4)
    assert tuple(code(row[0]) for row in rows) == delivered().guardrails.order == tuple(one.name for one in GUARDRAILS)
    named: set[str] = set()
    for name, vetoes, settings, rule in rows:
        assert vetoes.endswith(".")
        assert rule.endswith(".")
        found = dict(re.findall(r"`([\w.]+)` ([^`]+?)(?:, (?=`)|$)", settings))
        wanted = {
            one: told(setting(one if "." in one else f"guardrails.{one}")) for one in settings_read_by(code(name))
        }
        assert found == wanted, name
        assert bool(found) != (settings == "none"), name
        named |= set(found)
    assert named == (set(GuardrailSettings.model_fields) - {"order"}) | {"holdout.days"}


def test_reason_codes_stand_with_their_sentences() -> None:
    found = [(code(name), en, es) for name, en, es in one_table("code", columns=3)]
    assert found == [(one.code, one.en, one.es) for one in REASONS.values()]


def test_legal_rules_stand_for_counsel_to_confirm() -> None:
    assert "## Rules that counsel must confirm" in TEXT
    rows = one_table("rule", columns=3)
    assert [row[0] for row in rows] == [
        "GDPR art. 21",
        "GDPR art. 22",
        "Real Decreto 88/2026",
        "LSSI art. 21",
        "Bono social and vulnerable customers",
    ]
    kept_by = {row[0]: re.findall(r"^`(\w+)`", row[2]) for row in rows}
    assert kept_by == {
        "GDPR art. 21": ["consent"],
        "GDPR art. 22": [],
        "Real Decreto 88/2026": ["consent"],
        "LSSI art. 21": ["consent"],
        "Bono social and vulnerable customers": ["vulnerable"],
    }
    # Article 22 is kept by people: the page says where they are.
    assert re.search(r"\*\*Human review\.\*\*.*must name a desk.*looks up.*withhold", TEXT, re.DOTALL)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([a-z]+(?:_[a-z0-9]+)+)`", TEXT))))
def test_whatever_is_named_exists(name: str) -> None:
    """Names in backticks are columns, reasons, settings or tables."""
    tables = (RECOMMENDATIONS, REPLAYED_POLICIES, PAST_POLICIES)
    columns = {name for table in tables for name in table.column_names}
    known = {*columns, *REASONS, *NUMBERS, *GuardrailSettings.model_fields}
    assert name in known | {"second_home", "recommendation_limits", "prices_valid_days", "past_policies", *WITH_TRUE}


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert links
    assert all((Path(__file__).resolve().parents[2] / "docs" / link).exists() for link in links)
