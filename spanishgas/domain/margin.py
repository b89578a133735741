"""What a customer's month earns: the margin before VAT and electricity tax, losses being part of the energy cost.

The formulas use arithmetic only, so that the same lines serve floats, numpy arrays and table columns. What is unknown
must arrive as the caller's null or NaN and makes the result unknown; a price that does not matter, because nothing was
used at it, must arrive as 0.
"""

from collections.abc import Sequence
from typing import Any

from spanishgas.domain.units import MONTHS_PER_YEAR

Quantity = Any
"""A float, a numpy array or a table column."""


def fixed_fee_eur_month(price_eur_kw_year: Quantity, contracted_power_kw: Quantity) -> Quantity:
    """The monthly fee of a fixed price that is quoted per kW and year.

    Example:
        >>> fixed_fee_eur_month(36.0, 4.0)
        12.0
    """
    return price_eur_kw_year * contracted_power_kw / MONTHS_PER_YEAR


def electricity_margin_eur(
    *,
    period_kwh: Sequence[Quantity],
    period_price_eur_kwh: Sequence[Quantity],
    fixed_fee_eur: Quantity,
    fixed_cost_eur: Quantity,
    energy_cost_eur_kwh: Quantity,
    toll_eur_kwh: Quantity,
    surplus_kwh: Quantity = 0.0,
    surplus_price_eur_kwh: float = 0.0,
) -> Quantity:
    """Electricity margin of one customer and month.

    Args:
        period_kwh: Energy imported in each tariff period, kWh, non-negative.
        period_price_eur_kwh: Price of each tariff period, in the same order, EUR/kWh.
        fixed_fee_eur: Fixed fee of the month.
        fixed_cost_eur: Fixed cost of the month.
        energy_cost_eur_kwh: Energy cost, losses included.
        toll_eur_kwh: Access toll.
        surplus_kwh: Negative readings of the month, kWh, at most 0.
        surplus_price_eur_kwh: What the retailer pays for a surplus kWh.

    Returns:
        sum over periods (kWh x price) + fee - kWh x (energy cost + toll) - fixed cost + surplus kWh x surplus price.

    Raises:
        ValueError: There is not one price for each period.
    """
    revenue: Quantity = fixed_fee_eur
    kwh: Quantity = 0.0
    for energy, price in zip(period_kwh, period_price_eur_kwh, strict=True):
        revenue = revenue + energy * price
        kwh = kwh + energy
    cost = kwh * (energy_cost_eur_kwh + toll_eur_kwh) + fixed_cost_eur
    return revenue - cost + surplus_kwh * surplus_price_eur_kwh


def gas_margin_eur(
    *,
    gas_m3: Quantity,
    price_eur_m3: Quantity,
    cost_eur_m3: Quantity,
    fixed_revenue_eur_year: Quantity,
    fixed_cost_eur_year: Quantity,
) -> Quantity:
    """Gas margin of one month of a customer who has gas; without gas there is none to compute, fixed parts included.

    Returns:
        m3 x (price - cost) + (fixed revenue - fixed cost) / 12.
    """
    fixed = (fixed_revenue_eur_year - fixed_cost_eur_year) / MONTHS_PER_YEAR
    return gas_m3 * (price_eur_m3 - cost_eur_m3) + fixed
