"""Who the customers are: what the files tell of them, and what nobody sees."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt

from spanishgas.config import DemoSettings
from spanishgas.demo.noise import Floats, Noise

Ints = npt.NDArray[np.int64]
Days = npt.NDArray[np.datetime64]

# Shares of households by province, roughly by population; the rest is spread evenly.
PROVINCES = tuple(f"{number:02d}" for number in range(1, 53))
LARGE_PROVINCES = {"28": 14.2, "08": 12.1, "46": 5.5, "41": 4.1, "03": 4.0, "29": 3.6, "30": 3.2, "11": 2.6, "48": 2.4}
MEDIUM_PROVINCES = {"07": 2.4, "35": 2.4, "38": 2.2, "15": 2.3, "33": 2.1, "50": 2.1, "36": 2.0, "18": 1.9, "43": 1.8}
HIGH_COMPETITION = frozenset({"28", "46", "48", "50", "41", "33"})
REGIONS = {"28": "Madrid", "08": "Cataluña", "46": "Comunitat Valenciana", "41": "Andalucía", "35": "Canarias"}
# Raw labels as the files carry them: two of them mean unknown.
SALES_CHANNELS = (
    "presencial_comercial",
    "desconocido",
    "comparador",
    "oficina",
    "telemarketing",
    "web_propia",
    "unknown",
)
SALES_CHANNEL_SHARES = (0.456, 0.201, 0.129, 0.091, 0.061, 0.001, 0.061)
COMPARATOR = SALES_CHANNELS.index("comparador")
RESIDENTIAL, SECOND_HOME, SME, CORPORATE = range(4)
SEGMENT_SHARES = (0.880, 0.020, 0.0912, 0.0088)
ACTIVE_AT_START = 0.80


@dataclass(frozen=True)
class Population:
    """Customers as arrays of one entry each, in order of their index.

    Observable: ``ids segment power_kw province competition urban channel has_gas activation phone marketing
    vulnerable``.
    Hidden: ``frailty`` (log-hazard), ``sensitivity`` (to price), ``grumpiness`` (mood), ``reactance`` (to contact).
    """

    index: Ints
    ids: npt.NDArray[np.str_]
    segment: Ints
    power_kw: Floats
    province: npt.NDArray[np.str_]
    competition: npt.NDArray[np.bool_]
    urban: npt.NDArray[np.bool_]
    channel: Ints
    has_gas: npt.NDArray[np.bool_]
    self_consumption: npt.NDArray[np.bool_]
    activation: Days
    vulnerable: npt.NDArray[np.bool_]
    vulnerable_since: Days
    marketing: npt.NDArray[np.bool_]
    phone: npt.NDArray[np.bool_]
    consent_change: Days
    annual_kwh: Floats
    frailty: Floats
    sensitivity: Floats
    grumpiness: Floats
    reactance: Floats

    def __len__(self) -> int:
        return len(self.index)


def draw_population(settings: DemoSettings, noise: Noise) -> Population:
    """Draws all customers of the world, those who arrive during it included."""
    index = np.arange(settings.customers)
    segment = noise.choice("segment", SEGMENT_SHARES, index)
    channel = noise.choice("channel", SALES_CHANNEL_SHARES, index)
    shares = np.array([(LARGE_PROVINCES | MEDIUM_PROVINCES).get(code, 0.9) for code in PROVINCES])
    province = np.array(PROVINCES)[noise.choice("province", shares, index)]
    competition = np.isin(province, sorted(HIGH_COMPETITION))
    activation = _activations(settings, noise, index)
    days = (settings.end - settings.start).days
    start = np.datetime64(settings.start)
    return Population(
        index=index,
        ids=np.char.mod("C%05d", index + 1),
        segment=segment,
        power_kw=_power(noise, index, segment),
        province=province,
        competition=competition,
        urban=noise.uniform("urban", index) < np.where(competition, 0.85, 0.6),
        channel=channel,
        has_gas=noise.uniform("gas", index) < np.where(segment == SECOND_HOME, 0.05, 0.185),
        self_consumption=noise.uniform("pv", index) < 0.025,
        activation=activation,
        vulnerable=(segment == RESIDENTIAL) & (noise.uniform("vulnerable", index) < 0.09),
        vulnerable_since=start + (noise.uniform("vulnerable_since", index) * days * 1.5 - 0.5 * days).astype("int64"),
        marketing=noise.uniform("marketing", index) < 0.72,
        phone=noise.uniform("phone", index) < 0.38,
        consent_change=start + (noise.uniform("consent_change", index) * days * 6).astype("int64"),
        annual_kwh=_annual_kwh(noise, index, segment),
        **hidden_traits(segment, channel, lambda name: noise.normal(name, index)),
    )


def with_traits(population: Population, traits: Mapping[str, Floats]) -> Population:
    """The same customers with other hidden traits."""
    return replace(
        population,
        frailty=traits["frailty"],
        sensitivity=traits["sensitivity"],
        grumpiness=traits["grumpiness"],
        reactance=traits["reactance"],
    )


def hidden_traits(segment: Ints, channel: Ints, normal: Callable[[str], Floats]) -> dict[str, Floats]:
    """Traits that nobody sees, by name, from what is known of customers and standard normal draws for each trait."""
    return {
        "frailty": 0.45 * normal("frailty"),
        "sensitivity": np.exp(0.35 * normal("sensitivity") + 0.35 * (channel == COMPARATOR)),
        "grumpiness": normal("grumpiness"),
        "reactance": 0.8 * normal("reactance") + 0.9 * (segment == SECOND_HOME) + 0.5 * (channel == 3) - 0.6,
    }


def _activations(settings: DemoSettings, noise: Noise, index: Ints) -> Days:
    """Four in five are customers at the start, for up to 15 years; the others arrive evenly until the world's end."""
    tenure = np.minimum(
        30.44 * 182,
        30.44 * 60 * noise.uniform("tenure", index) ** 0.75 * np.exp(0.45 * noise.normal("tenure_spread", index)),
    )
    arrival = noise.uniform("arrival", index) * (settings.end - settings.start).days
    early = noise.uniform("early", index) < ACTIVE_AT_START
    offset = np.where(early, -1 - tenure, arrival).astype("int64")
    return np.datetime64(settings.start) + offset


def _power(noise: Noise, index: Ints, segment: Ints) -> Floats:
    steps = 2.3 + 1.15 * noise.choice("power", (4, 18, 34, 22, 12, 5, 3, 2), index)
    corporate = 15.0 + 5.0 * np.floor(28 * noise.uniform("power", index) ** 2)
    return np.select(
        [segment == SECOND_HOME, segment == SME, segment == CORPORATE], [3.45, 10.0, corporate], default=steps
    ).round(2)


def _annual_kwh(noise: Noise, index: Ints, segment: Ints) -> Floats:
    centre = np.array([2300.0, 900.0, 9500.0, 140000.0])[segment]
    spread = np.array([0.55, 0.6, 0.9, 0.9])[segment]
    return np.asarray(centre * np.exp(spread * noise.normal("annual_kwh", index)))


def month_starts(start: date, months: int) -> Days:
    """First days of consecutive months."""
    first = np.datetime64(start, "M")
    return (first + np.arange(months)).astype("datetime64[D]")
