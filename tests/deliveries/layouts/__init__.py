"""Real layouts and faults of deliveries, each as tiny files with what becomes of them: docs/deliveries.md."""

from tests.deliveries.layouts.abroad import CASES as ABROAD
from tests.deliveries.layouts.base import Case
from tests.deliveries.layouts.faults import CASES as FAULTS
from tests.deliveries.layouts.files_of_spain import CASES as FILES_OF_SPAIN
from tests.deliveries.layouts.isles import CASES as ISLES
from tests.deliveries.layouts.sources import CASES as SOURCES
from tests.deliveries.layouts.spain import CASES as SPAIN

GROUPS: dict[str, tuple[Case, ...]] = {
    "Spanish readings": (*SPAIN, *FILES_OF_SPAIN),
    "Readings of other countries and public data sets": (*ISLES, *ABROAD),
    "Faults of files": FAULTS,
    "Other sources, and deliveries as a whole": SOURCES,
}
CASES = tuple(case for group in GROUPS.values() for case in group)
