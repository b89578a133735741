"""The pages, one file each; the list below is their order."""

from collections.abc import Callable
from dataclasses import dataclass

from spanishgas.dashboard.view import View
from spanishgas.dashboard.views import at_risk, customer, lineage, model, monitoring, offers, overview, segments
from spanishgas.dashboard.words import Pair


@dataclass(frozen=True)
class Entry:
    """A page of the navigation.

    Attributes:
        name: Name in the code and, with hyphens, in the address.
        titles: Title in English and in Spanish.
        icon: Icon.
        show: Draws it.
        needs_dates: It has nothing to show before anything is scored.
    """

    name: str
    titles: Pair
    icon: str
    show: Callable[[View], None]
    needs_dates: bool = True


VIEWS: tuple[Entry, ...] = (
    Entry("overview", ("Overview", "Resumen"), ":material/dashboard:", overview.show),
    Entry("at_risk", ("At risk", "En riesgo"), ":material/warning:", at_risk.show),
    Entry("customer", ("Customer", "Cliente"), ":material/person:", customer.show),
    Entry("segments", ("Segments", "Segmentos"), ":material/groups:", segments.show, needs_dates=False),
    Entry("offers", ("Offers", "Ofertas"), ":material/sell:", offers.show),
    Entry("model", ("Model", "Modelo"), ":material/neurology:", model.show, needs_dates=False),
    Entry("monitoring", ("Monitoring", "Seguimiento"), ":material/monitoring:", monitoring.show, needs_dates=False),
    Entry("lineage", ("Lineage", "Procedencia"), ":material/account_tree:", lineage.show),
)
