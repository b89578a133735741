"""What a customer is told: their data, the decision with its reasons, the model behind it; nothing of it on a run."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from pipelines.explain_customer import main
from spanishgas.engine.store import Publication
from spanishgas.engine.suppression import Pseudonyms, Suppression
from spanishgas.policy.reasons import sentences
from spanishgas.stages.places import recommended_on
from tests.e2e.worlds import Retailer

RUN_DATE = "2024-12-09"


def asked(retailer: Retailer, *words: str) -> list[str]:
    return [f"data_root={retailer.root}", f"tracking.uri={retailer.tracking.uri}", "run_date=2024-12-31", *words]


def decided_rows(retailer: Retailer) -> pd.DataFrame:
    manifest = retailer.store.read(recommended_on(date.fromisoformat(RUN_DATE)), made_by="recommend")
    return pd.read_parquet(retailer.store.files(manifest, "recommendations")[0])


@pytest.mark.decided
def test_data_decision_reasons_and_model_in_both_languages_and_no_run(
    retailer: Retailer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = decided_rows(retailer)
    offer = rows[rows["action"] != "none"].iloc[0]
    whose, into = offer["customer_id"], tmp_path / "text.md"
    runs = retailer.tracker.client.search_runs(["1"], max_results=1000)
    assert main(asked(retailer, f"customer={whose}", f"into={into}", "contact=privacidad@empresa.es")) == 0
    assert len(retailer.tracker.client.search_runs(["1"], max_results=1000)) == len(runs)
    spanish, english = into.read_text().split("\n---\n")

    for table, words in (("prices", "Prices that were charged"), ("contracts", "Contracts and their dates")):
        mine = retailer.silver(table).query("customer_id == @whose")
        event = {"prices": "pricing_date", "contracts": "contract_start_date"}[table]
        days = [mine[event].min(), mine[event].max(), mine["known_at"].min()]
        told = " | ".join(pd.Timestamp(day).date().isoformat() for day in days)
        assert f"| {words} | {len(mine)} | {told} |" in english
    for sentence in sentences(offer["reason_codes"], "en"):
        assert f"- {sentence}" in english
    for sentence in sentences(offer["reason_codes"], "es"):
        assert f"- {sentence}" in spanish
    size = {"small": "un descuento pequeño", "medium": "un descuento medio", "large": "un descuento grande"}
    assert f"El 09/12/2024 se decidió **ofrecerle {size[offer['action']]}**" in spanish
    assert f"estimated at {offer['risk_score']:.1%}" in english
    champion = retailer.tracker.client.get_model_version_by_alias("churn", "champion")
    assert f"The model is version {champion.version}, trained and registered on" in english
    assert "Reason on record: small" in english  # what the one who promoted it gave as reason
    assert "privacidad@empresa.es" in spanish
    landing = retailer.store.find(Publication(layer="bronze", name="ingest", partition=f"run_date={RUN_DATE}"))
    assert landing is not None
    assert f"delivered in {len(landing.inputs)} files on {RUN_DATE}" in english

    # Under the pseudonym that runs know, in one language, with a review on record.
    retailer.tracker.client.set_model_version_tag("churn", champion.version, "reviewed_by", "Ana, risk committee")
    pseudonym = Pseudonyms.of(retailer.root).of_customer(whose)
    assert main(asked(retailer, f"customer={pseudonym}", "language=en")) == 0
    printed = capsys.readouterr().out
    assert f"Customer {whose}." in printed
    assert "Review on record (reviewed_by): Ana, risk committee." in printed
    assert "Sus derechos" not in printed


@pytest.mark.decided
def test_somebody_without_an_offer_without_a_decision_unknown_or_erased(
    retailer: Retailer, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = decided_rows(retailer)
    none = rows[rows["action"] == "none"].iloc[0]["customer_id"]
    assert main(asked(retailer, f"customer={none}", "language=en")) == 0
    assert "**to make you no offer** to stay" in capsys.readouterr().out
    gone = next(one for one in retailer.silver("customers")["customer_id"] if one not in set(rows["customer_id"]))
    assert main(asked(retailer, f"customer={gone}", "language=en")) == 0
    assert "There is no decision on you" in capsys.readouterr().out
    assert main(asked(retailer, "customer=nobody")) == 1
    assert "holds nothing of the customer 'nobody'" in capsys.readouterr().err
    assert main(asked(retailer, "customer=p-00000000000000000000")) == 1
    assert "no customer is called so" in capsys.readouterr().err
    Suppression.of(retailer.root).including([none]).save()
    assert main(asked(retailer, f"customer={none}")) == 1
    assert "the customer was erased" in capsys.readouterr().err
    for unclear in ((), ("customer=C1", "language=fr")):
        assert main(asked(retailer, *unclear)) == 2
