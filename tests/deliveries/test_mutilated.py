"""Mutilated deliveries: none in silence, none in a bare traceback. All of them: `python -m tests.deliveries`."""

from collections.abc import Iterator

import pytest

from tests.deliveries.faults import FAULTS, Fault
from tests.deliveries.outcomes import BAD, COUNTED, EQUAL, GATE, Drill
from tests.deliveries.report import FIRSTS
from tests.deliveries.tables import SOURCES
from tests.support import without_tracking_variables

# One source for each kind, another one for each next kind; all sources for those that must be stopped.
EVERYWHERE = ("cut off within a row", "cut off at a line end", "header only, or no records", "empty file")
CASES = [
    (fault, source)
    for number, fault in enumerate(FAULTS)
    for source in (fault.sources if fault.name in EVERYWHERE else fault.sources[number % len(fault.sources) :][:1])
]


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    with without_tracking_variables():
        yield Drill(tmp_path_factory.mktemp("deliveries"))


def test_there_are_three_hundred_cases_and_every_source_has_its_own() -> None:
    counts = {source: sum(source in fault.sources for fault in FAULTS) for source in SOURCES}
    assert sum(counts.values()) >= 300
    assert min(counts.values()) >= 30
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.mark.drill
@pytest.mark.parametrize(("fault", "source"), CASES, ids=lambda part: part.name if isinstance(part, Fault) else part)
def test_a_mutilated_delivery_is_read_counted_or_refused(drill: Drill, fault: Fault, source: str) -> None:
    outcome = drill.outcome(fault, source)
    assert outcome.kind not in BAD, outcome.told
    if fault.name in EVERYWHERE:
        assert outcome.kind not in (EQUAL, COUNTED), outcome.told


@pytest.mark.drill
@pytest.mark.parametrize("source", ["customer_attributes", "customer_contracts", "price_history", "churn_label"])
def test_half_a_file_is_refused_as_the_first_delivery_too(drill: Drill, source: str) -> None:
    (half,) = (fault for fault in FAULTS if fault.name == "cut off at a line end")
    assert half.name in FIRSTS
    assert drill.outcome(half, source, first=True).kind == GATE
