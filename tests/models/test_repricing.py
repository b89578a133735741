"""What renewals do to prices is found whatever the market does meanwhile."""

import numpy as np
import pandas as pd
import pytest

from spanishgas.models.repricing import LEAST_RENEWALS, learn_repricing


def retailer(
    count: int, share: float, market: float = 0.3, months: int = 18, market_share: float | None = None
) -> tuple[pd.DataFrame, list[str], pd.Series]:
    """Customers at the ends of many months, whose prices move with the market and go back at renewals."""
    generator = np.random.default_rng(7)
    gap = generator.normal(0.0, 0.12, count)
    renewal = generator.integers(0, 12, count)
    level = np.cumsum(generator.normal(market / months, 0.03, months))
    parts = []
    price = np.log(0.15) + gap
    own, set_at = gap.copy(), np.zeros(count)
    for month in range(months):
        at = (renewal - month) % 12
        # New terms follow the market, prices of a running term do not.
        renewed = at == 11
        if month:
            # Of what the market did since the term began, the part that is not taken stays for good.
            moved = level[month] - set_at
            own = np.where(renewed, (1 - share) * own, own)
            set_at = np.where(renewed, set_at + (1.0 if market_share is None else market_share) * moved, set_at)
            price = np.log(0.15) + own + set_at
        parts.append(
            pd.DataFrame(
                {
                    "customer": np.arange(count).astype(str),
                    "as_of": pd.Timestamp("2024-01-31") + pd.offsets.MonthEnd(month),
                    "price_energy_eur_kwh": np.exp(price),
                    "price_over_new_terms": np.expm1(price - np.log(0.15) - level[month]),
                    "days_to_renewal": at * 30.44 + 5,
                    "margin_eur_month_3m": 20.0 * np.exp(level[month]),
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    return table, table.pop("customer").tolist(), table.pop("as_of")


@pytest.mark.parametrize("share", [0.0, 0.45, 0.9])
def test_the_share_is_found_under_a_market_that_moves(share: float) -> None:
    found = learn_repricing(*retailer(800, share))
    assert found.share == pytest.approx(share, abs=0.05)
    assert found.facts["months_apart"] == 12
    assert found.level_sd > 0.1


@pytest.mark.parametrize(("share", "market_share"), [(0.45, 1.0), (0.45, 0.2), (0.0, 0.6)])
def test_what_a_renewal_takes_of_the_market_is_told_from_what_it_takes_of_the_customers_own(
    share: float, market_share: float
) -> None:
    table, customers, days = retailer(1500, share, market=1.0, market_share=market_share)
    gap = np.log1p(table["price_over_new_terms"])
    term = table["days_to_renewal"]
    common = gap.groupby([days, term]).transform("median")
    found = learn_repricing(table.assign(term_peers_over_new_terms=np.expm1(common)), customers, days)
    assert found.share == pytest.approx(share, abs=0.05)
    assert found.market_share == pytest.approx(market_share, abs=0.15)


def test_few_months_leave_the_market_share_near_what_is_expected() -> None:
    table, customers, days = retailer(1500, 0.45, market=0.1, months=3)
    calm = learn_repricing(table.assign(term_peers_over_new_terms=0.001), customers, days)
    assert calm.market_share == pytest.approx(1.0, abs=0.05)
    assert learn_repricing(table, customers, days).market_share == calm.share


def test_a_calm_market_gives_no_spread() -> None:
    table, customers, days = retailer(300, 0.5, market=0.0)
    assert learn_repricing(table.assign(margin_eur_month_3m=20.0), customers, days).level_sd == 0.0


def test_few_renewals_one_date_or_no_prices_leave_prices_as_they_are() -> None:
    table, customers, days = retailer(LEAST_RENEWALS // 20, 0.9)
    assert learn_repricing(table, customers, days).share == 0.0
    table, customers, days = retailer(300, 0.9, months=1)
    assert learn_repricing(table, customers, days).share == 0.0
    assert learn_repricing(table[["days_to_renewal"]], customers, days).share == 0.0


def test_short_histories_compare_dates_less_than_a_year_apart() -> None:
    found = learn_repricing(*retailer(800, 0.6, months=7))
    assert found.facts["months_apart"] == 6
    assert found.share == pytest.approx(0.6, abs=0.05)
