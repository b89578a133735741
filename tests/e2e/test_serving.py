"""Real-time answers: equal to what the batch has published, for everybody, and on a real server under bad treatment."""

import gzip
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import httpx
import mlflow
import numpy as np
import pandas as pd
import psutil
import pytest

from spanishgas.engine.keyed import KeyedTable, build_keyed
from spanishgas.errors import PublishError
from spanishgas.models import ChurnModel
from spanishgas.policy.reasons import REASONS, causes_of_risk
from spanishgas.policy.recommendations import limit_names
from spanishgas.policy.what_if import WhatIf
from spanishgas.registry import CHAMPION
from spanishgas.scoring.online import Answer, NoFeaturesError, Recommender, UnknownCustomerError
from spanishgas.scoring.snapshot import Snapshot
from spanishgas.serving.bundle import Bundle
from spanishgas.serving.descriptor import ServedRun, left_by_newest
from spanishgas.serving.publisher import Publisher
from spanishgas.serving.schema import ManyAnswers, ScoreAnswer
from tests.e2e.house import AS_OF, BEFORE, RUN, TODAY, House, house
from tests.e2e.served import ROOT, Server

__all__ = ["house"]  # a fixture
# A retailer with two versions of a model, decided and served by a real server, takes long by nature.
pytestmark = pytest.mark.drill


@pytest.fixture
def champion_one(house: House) -> Iterator[House]:
    house.champion("1")
    yield house
    house.champion("1")


def everybody(recommender: Recommender, day: date = AS_OF, **asked: object) -> dict[str, Answer]:
    snapshot = recommender.snapshots[day]
    wanted = [(snapshot, row) for row in range(len(snapshot.features))]
    found = recommender.answers(wanted, TODAY, **asked)  # type: ignore[arg-type]
    return {one.customer_id: one for one in found}


def test_for_everybody_the_answer_is_what_the_batch_has_published(champion_one: House, tmp_path: Path) -> None:
    house = champion_one
    recommender = house.bundle(tmp_path).recommender
    answers = everybody(recommender)
    scores = house.scores.set_index("customer_id")
    assert set(answers) == set(scores.index)
    decisions = house.decisions.set_index("customer_id")
    assert set(decisions.index) == set(answers)
    assert decisions["is_held_out"].any()
    assert (decisions["action"] != "none").any()
    for customer, one in answers.items():
        assert one.risk == scores.loc[customer, "risk"]
        row = decisions.loc[customer]
        made = one.recommendation
        assert one.hazards == tuple(row[["hazard_0_30", "hazard_30_60", "hazard_60_90"]])
        assert one.risk == row["risk_score"]
        assert (one.risk_bucket, one.segment, one.segment_name) == (
            row["risk_bucket"],
            row["segment"],
            row["segment_name"],
        )
        assert (made.action, made.channel, made.timing_window) == (row["action"], row["channel"], row["timing_window"])
        assert (made.expected_margin_impact, made.expected_spend) == (
            row["expected_margin_impact"],
            row["expected_spend"],
        )
        assert made.p_accept == (None if pd.isna(row["p_accept"]) else row["p_accept"])
        assert made.is_held_out == row["is_held_out"]
        assert "|".join(made.reason_codes) == row["reason_codes"]
        assert "|".join(made.veto_codes) == row["veto_codes"]
        assert (made.source, made.run_date, one.moved) == ("published", RUN, ())
        assert (one.policy_version, one.decision_model) == (row["policy_version"], row["model_version"])
    assert sum(bool(one.segment) for one in answers.values()) > 100


def test_files_of_the_champion_that_were_damaged_since_are_fetched_again(champion_one: House, tmp_path: Path) -> None:
    publisher = Publisher(champion_one.settings(tmp_path))
    descriptor = publisher.publish()
    card = descriptor.model_files / "model.json"
    card.write_text(card.read_text() + " ")
    with pytest.raises(PublishError, match="not those that were registered"):
        Bundle.load(descriptor)
    assert Bundle.load(publisher.publish()).id == descriptor.id


def test_who_was_not_decided_on_has_left_by_the_run_date(champion_one: House, tmp_path: Path) -> None:
    plain = champion_one.bundle(tmp_path).recommender
    assert plain.newest is not None
    stayed = champion_one.decisions.iloc[5:].drop(columns=["run_date", "as_of"])
    stayed.to_parquet(tmp_path / "stayed.parquet", index=False)
    decisions = KeyedTable.open(build_keyed([tmp_path / "stayed.parquet"], tmp_path / "stayed"))
    run = replace(plain.newest, decisions=decisions)
    snapshots = {day: replace(one, run=run if day == AS_OF else None) for day, one in plain.snapshots.items()}
    answers = everybody(replace(plain, snapshots=snapshots, newest=run))
    gone = {one for one, answer in answers.items() if answer.recommendation.reason_codes[0] == "has_left"}
    assert gone == set(champion_one.decisions["customer_id"].iloc[:5])
    assert {answers[one].recommendation.action for one in gone} == {"none"}


def test_a_champion_that_has_moved_on_is_told_and_its_numbers_are_its_own(champion_one: House, tmp_path: Path) -> None:
    house = champion_one
    before = everybody(house.bundle(tmp_path).recommender)
    house.champion("2")
    recommender = house.bundle(tmp_path).recommender
    assert recommender.version == "2"
    after = everybody(recommender)
    model: ChurnModel = recommender.model
    rows = house.features()
    wanted = model.predict(rows)
    contributions, _ = model.model.contributions(rows[list(model.model.columns_)])
    causes = causes_of_risk(contributions)
    edges = np.quantile(house.decisions["risk_score"], [0.9, 0.7])
    decided = set(house.decisions["customer_id"])
    for place, customer in enumerate(rows["customer_id"]):
        one = after[customer]
        assert one.risk == wanted["risk"].iloc[place]
        told = [code for code in one.recommendation.reason_codes if code in set(causes[place])]
        assert told == list(causes[place])
        if customer in decided:
            assert one.moved == ("model",)
            assert one.recommendation.action == before[customer].recommendation.action
            assert one.risk_bucket == ("high" if one.risk > edges[0] else "medium" if one.risk > edges[1] else "low")
    assert [after[one].risk for one in after] != [before[one].risk for one in after]
    # In a hurry: the same numbers without the causes.
    hurried = everybody(recommender, explain=False)
    for customer, one in hurried.items():
        assert one.risk == after[customer].risk
        assert not any(code in causes for code in one.recommendation.reason_codes)


def test_other_dates_are_scored_and_say_that_nobody_has_decided(champion_one: House, tmp_path: Path) -> None:
    bundle = champion_one.bundle(tmp_path)
    assert set(bundle.recommender.snapshots) >= {AS_OF, BEFORE}
    rows = champion_one.features(BEFORE)
    wanted = bundle.recommender.model.predict(rows)["risk"]
    answers = everybody(bundle.recommender, BEFORE)
    assert [answers[one].risk for one in rows["customer_id"]] == wanted.tolist()
    for one in answers.values():
        assert (one.recommendation.source, one.recommendation.reason_codes[0]) == ("none", "not_priced")
        assert one.risk_bucket is None


def test_who_is_asked_for_is_found_or_told_why_not(champion_one: House, tmp_path: Path) -> None:
    recommender = champion_one.bundle(tmp_path).recommender
    customer = champion_one.decisions["customer_id"].iloc[0]
    snapshot, row = recommender.locate(customer, None)
    assert (snapshot.as_of, snapshot.customer(row)) == (AS_OF, customer)
    with pytest.raises(UnknownCustomerError):
        recommender.locate("nobody", None)
    with pytest.raises(NoFeaturesError) as caught:
        recommender.locate(customer, date(2024, 11, 28))
    assert caught.value.nearest == AS_OF
    new = set(champion_one.features()["customer_id"]) - set(champion_one.features(BEFORE)["customer_id"])
    with pytest.raises(NoFeaturesError) as caught:
        recommender.locate(sorted(new)[0], BEFORE)
    assert caught.value.nearest > BEFORE


def with_newcomers(recommender: Recommender, house: House, folder: Path) -> Recommender:
    """Features a day after the run's, with customers whom nobody has decided on: those of the run under other ids."""
    day = date(2024, 12, 1)
    rows = house.features()
    rows = rows[rows["customer_id"].isin(house.decisions["customer_id"])]
    rows = rows.assign(customer_id="new-" + rows["customer_id"])
    rows.to_parquet(folder / "newcomers.parquet", index=False)
    names = [name for name in rows.columns if name not in ("customer_id", "as_of")]
    keyed = KeyedTable.open(build_keyed([folder / "newcomers.parquet"], folder / "newcomers", names))
    later = Snapshot(day, keyed, "other", None, None)
    return Recommender(
        recommender.model,
        recommender.version,
        recommender.digest,
        {**recommender.snapshots, day: later},
        recommender.newest,
    )


def test_newcomers_are_decided_at_the_dual_prices_while_they_hold(champion_one: House, tmp_path: Path) -> None:
    plain = champion_one.bundle(tmp_path).recommender
    assert plain.newest is not None
    limits = champion_one.retailer.table(champion_one.decided, "recommendation_limits").set_index("limit")
    left = limits["period_left"].reindex(limit_names(plain.newest.terms.settings)).fillna(np.inf)
    assert plain.newest.prices.left.tolist() == left.tolist()
    assert left.iloc[0] == pytest.approx(limits.loc["budget", "bound"] - champion_one.decisions["expected_spend"].sum())
    wide = replace(plain.newest.prices, left=np.full_like(plain.newest.prices.left, np.inf))
    plain = replace(plain, newest=replace(plain.newest, prices=wide))
    recommender = with_newcomers(plain, champion_one, tmp_path)
    day = date(2024, 12, 1)
    answers = everybody(recommender, day)
    assert {one.recommendation.source for one in answers.values()} == {"priced"}
    decided = champion_one.decisions.set_index("customer_id")
    planned = decided["planned_action"] != "none"
    same = [
        (answers[f"new-{customer}"].recommendation.action != "none")
        or answers[f"new-{customer}"].recommendation.is_held_out
        for customer in decided.index
    ]
    # The same customers as those of the allocation, but for what was known by the run's day only.
    assert np.mean(np.array(same) == planned.to_numpy()) > 0.9
    assert sum(same) >= 5
    for one in answers.values():
        made = one.recommendation
        assert (made.action == "none") == (made.expected_margin_impact == 0)
        assert set(made.reason_codes) <= set(REASONS)
    late = {
        one.recommendation.reason_codes[0]
        # Prices hold for 30 days, but no longer than the month whose money they are of.
        for one in recommender.answers([(recommender.snapshots[day], 0)], date(2025, 1, 1))
    }
    assert late == {"not_priced"}


def test_what_a_period_has_left_is_what_its_newest_run_left(tmp_path: Path) -> None:
    def run(day: date, period: date, *left: float | None) -> ServedRun:
        return ServedRun(
            run_date=day,
            as_of=AS_OF,
            features_hash="f",
            decisions=tmp_path,
            standing=tmp_path,
            terms=tmp_path,
            prices=(0.5,) * len(left),
            left=left,
            period_start=period,
            valid_until=day,
            risk_edges=(0.5, 0.2),
        )

    november, december = date(2024, 11, 1), date(2024, 12, 1)
    runs = [
        run(date(2024, 11, 28), november, 9.0, None),
        run(date(2024, 12, 2), december, 70.0, 4.0),
        run(date(2024, 12, 5), december, 60.0, 4.0, None),  # of another set of channels
        run(date(2024, 12, 9), december, 20.0, 1.0),
    ]
    told = left_by_newest(runs)
    assert [one.left for one in told] == [(9.0, None), (20.0, 1.0), (60.0, 4.0, None), (20.0, 1.0)]
    assert [one.run_date for one in told] == [one.run_date for one in runs]


def test_a_what_if_is_answered_beside_the_decision(champion_one: House, tmp_path: Path) -> None:
    recommender = champion_one.bundle(tmp_path).recommender
    plain = everybody(recommender)
    supposed = everybody(recommender, what_if=WhatIf(discount=0.05, acceptance=0.5))
    allowed = 0
    for customer, one in supposed.items():
        assert one.recommendation == plain[customer].recommendation
        assert one.supposed is not None
        assert (one.supposed.action, one.supposed.discount, one.supposed.acceptance) == ("own", 0.05, 0.5)
        allowed += not one.supposed.vetoes
        for code in plain[customer].recommendation.veto_codes:
            assert code in one.supposed.vetoes or code in ("value", "discount_cap", "margin_after")
    assert 0 < allowed < len(supposed)


# the server


@pytest.fixture(scope="module")
def server(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    house.champion("1")
    folder = tmp_path_factory.mktemp("server")
    more = {"WORKERS": "2", "LOG_SHARE": "1", "LOG_FOLDER": str(folder / "requests"), "ADMIN_TOKEN": "admin"}
    with Server(house.retailer.root, house.retailer.tracking.uri, folder / "cache", more) as running:
        yield running.wait()


@pytest.fixture
def customer(house: House) -> str:
    offered = house.decisions[house.decisions["action"] != "none"]
    return str(offered["customer_id"].iloc[0])


def test_an_answer_has_all_its_fields_in_the_language_asked_for(server: Server, house: House, customer: str) -> None:
    answer = server.score(customer_id=customer, asof_date=AS_OF.isoformat(), language="es")
    assert answer.status_code == 200
    told = ScoreAnswer.model_validate(answer.json())
    row = house.decisions.set_index("customer_id").loc[customer]
    assert told.churn_score == row["risk_score"]
    assert told.recommendation.action == row["action"]
    assert [(one.code, one.sentence) for one in told.reasons] == [
        (code, REASONS[code].es) for code in row["reason_codes"].split("|")
    ]
    assert (told.basis.model.version, told.basis.is_current) == ("1", True)
    english = server.score(customer_id=customer).json()
    assert english["reasons"][0]["sentence"] == REASONS[told.reasons[0].code].en
    supposed = server.score(customer_id=customer, what_if={"discount": 0.05}).json()["what_if"]
    assert supposed["discount"] == 0.05


def test_several_customers_are_answered_each_or_told_why_not(server: Server, house: House) -> None:
    ids = house.decisions["customer_id"].head(20).tolist()
    found = server.score(customers=[*ids, "nobody"])
    assert found.status_code == 200
    answers = ManyAnswers.model_validate(found.json()).answers
    assert [one.customer_id for one in answers] == [*ids, "nobody"]
    assert all(isinstance(one, ScoreAnswer) for one in answers[:-1])
    assert found.json()["answers"][-1]["code"] == "unknown_customer"


SECRET = "a-very-private-word"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"customer_id": "nobody"}, 404, "unknown_customer"),
        ({"customer_id": "$C", "asof_date": "2024-11-29"}, 404, "no_features"),
        ({"customer_id": "$C", "asof_date": f"2024-13-40{SECRET}"}, 422, "invalid_request"),
        ({"customer_id": 7}, 422, "invalid_request"),
        ({"customer_id": ""}, 422, "invalid_request"),
        ({"customer_id": SECRET * 40}, 422, "invalid_request"),
        ({"customer_id": "$C", "customers": ["$C"]}, 422, "invalid_request"),
        ({"customer_id": "$C", SECRET: 1}, 422, "invalid_request"),
        ({"customer_id": "$C", "language": SECRET}, 422, "invalid_request"),
        ({"customer_id": "$C", "what_if": {}}, 422, "invalid_request"),
        ({"customer_id": "$C", "what_if": {"discount": 1.5}}, 422, "invalid_request"),
        ({"customers": []}, 422, "invalid_request"),
        ({"customers": ["$C"] * 501}, 422, "too_many"),
        ([], 422, "invalid_request"),
        ({"customer_id": "$C", "asof_date": 0}, 422, "invalid_request"),
        ({"customer_id": "$C", "explain": "yes"}, 422, "invalid_request"),
        ({}, 422, "invalid_request"),
        (f'{{"customer_id": "{SECRET}', 400, "invalid_json"),
        ("", 422, "invalid_request"),
        ("[" * 100_000, 400, "invalid_json"),
        ("[" * 100_000 + "]" * 100_000, 400, "invalid_json"),
        (b"\xff\xfe\x00", 400, "invalid_json"),
    ],
)
def test_bad_requests_are_told_what_is_wrong_and_nothing_of_theirs(
    server: Server, customer: str, body: object, status: int, code: str
) -> None:
    raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    raw = raw.replace(b"$C", customer.encode())
    answer = server.client.post("/score", content=raw, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert SECRET not in answer.text
    assert "Traceback" not in answer.text
    assert len(answer.headers["x-request-id"]) == 32
    if code == "no_features":
        assert answer.json()["nearest"] == AS_OF.isoformat()


def test_paths_and_methods_that_are_not_there(server: Server) -> None:
    wrong = server.client.get("/score")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert server.client.get("/nothing").json()["code"] == "no_such_path"
    assert server.client.get("/v2/models/other").status_code == 404
    assert server.client.post("/v2/models/churn/generate", json={}).status_code == 404
    given = server.client.get("/v2/health/live", headers={"x-request-id": "mine-1"})
    assert (given.status_code, given.headers["x-request-id"]) == (200, "mine-1")


def memory(server: Server) -> int:
    return sum(psutil.Process(pid).memory_info().rss for pid in server.workers())


def test_large_and_compressed_bodies_cost_nothing(server: Server, customer: str) -> None:
    server.score(customer_id=customer)
    before, workers = memory(server), server.workers()
    large = b" " * (60 << 20)
    # The answer may come before all is sent; then the connection is closed.
    for content in (large, iter([large[: 1 << 20]] * 60)):
        try:
            found = server.client.post("/score", content=content)
        except httpx.TransportError:
            continue
        assert (found.status_code, found.json()["code"]) == (413, "too_large")
    bomb = gzip.compress(b" " * (300 << 20))
    assert len(bomb) < 400_000
    for path in ("/score", "/v2/models/churn/infer"):
        answer = server.client.post(path, content=bomb, headers={"content-encoding": "gzip"})
        assert (answer.status_code, answer.json()["code"]) == (415, "compressed")
    assert server.workers() == workers
    assert memory(server) - before < 40 << 20
    assert server.score(customer_id=customer).status_code == 200


def test_a_chunked_body_beyond_the_limit_is_refused_as_it_comes(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sock:
        sock.sendall(b"POST /score HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        sent, answer = 0, b""
        try:
            while sent < 8 << 20:
                sock.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
                sent += 65536
        except OSError:
            pass  # the server has hung up
        try:
            answer = sock.recv(4096)
        except OSError:
            return
    assert b" 413 " in answer.split(b"\r\n")[0]


def test_control_calls_need_their_token(server: Server) -> None:
    for path in ("/admin/refresh", "/v2/repository/models/churn/load", "/v2/repository/models/churn/unload"):
        assert server.client.post(path).status_code == 401
        assert server.client.post(path, headers={"authorization": "Bearer wrong"}).status_code == 401
    mine = {"authorization": "Bearer admin"}
    assert server.client.post("/admin/refresh", headers=mine).status_code == 202
    assert server.client.post("/v2/repository/models/churn/unload", headers=mine).status_code == 403
    assert server.client.get("/v2/health/ready").status_code == 200


def test_the_description_is_true(server: Server, customer: str) -> None:
    schema = server.client.get("/openapi.json").json()
    told = schema["paths"]["/score"]["post"]
    assert set(told["responses"]) == {"200", "400", "401", "404", "413", "415", "422", "429", "503"}
    assert told["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/ScoreRequest")
    shapes = schema["components"]["schemas"]
    answer = server.score(customer_id=customer).json()
    assert set(answer) == set(shapes["ScoreAnswer"]["properties"])
    assert set(answer["recommendation"]) == set(shapes["RecommendationAnswer"]["properties"])
    assert not [path for path in schema["paths"] if "generate" in path or "docs" in path]
    page = server.client.get("/docs")
    assert "POST /score" in page.text
    assert "<script" not in page.text


def tensors(house: House, rows: pd.DataFrame) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for name in rows.columns:
        if name in ("customer_id", "as_of"):
            continue
        values = rows[name].astype(object)
        if any(isinstance(value, str) for value in values):
            data: list[object] = [None if pd.isna(value) else value for value in values]
            found.append({"name": name, "datatype": "BYTES", "shape": [len(rows), 1], "data": data})
        else:
            data = [None if pd.isna(value) else float(value) for value in values]
            found.append({"name": name, "datatype": "FP64", "shape": [len(rows), 1], "data": data})
    return found


def outputs(answer: httpx.Response) -> dict[str, list[object]]:
    assert answer.status_code == 200, answer.text
    return {one["name"]: one["data"] for one in answer.json()["outputs"]}


def test_v2_answers_by_customer_and_by_feature_row(server: Server, house: House) -> None:
    decided = house.decisions.head(30)
    ids = decided["customer_id"].tolist()
    told = server.client.get("/v2/models/churn").json()
    assert told["versions"] == ["1"]
    known = {one["name"] for one in told["inputs"]}
    by_customer = outputs(
        server.client.post(
            "/v2/models/churn/infer",
            json={
                "id": "q1",
                "inputs": [
                    {"name": "customer_id", "datatype": "BYTES", "shape": [len(ids), 1], "data": ids},
                    {"name": "asof_date", "datatype": "BYTES", "shape": [1], "data": [AS_OF.isoformat()]},
                ],
            },
        )
    )
    assert by_customer["churn_score"] == decided["risk_score"].tolist()
    assert by_customer["action"] == decided["action"].tolist()
    assert by_customer["reason_codes"] == decided["reason_codes"].tolist()
    rows = house.features().set_index("customer_id").loc[ids].reset_index()
    given = [one for one in tensors(house, rows) if one["name"] in known]
    assert len(given) == len(known)
    by_row = outputs(server.client.post("/v2/models/churn/infer", json={"inputs": given}))
    assert by_row["churn_score"] == decided["risk_score"].tolist()


@pytest.mark.parametrize(
    ("inputs", "status"),
    [
        ([], 422),
        ([{"name": "customer_id", "datatype": "BYTES", "shape": [1], "data": ["nobody"]}], 404),
        ([{"name": "customer_id", "datatype": "FP64", "shape": [1], "data": [1.0]}], 422),
        ([{"name": "customer_id", "datatype": "BYTES", "shape": [2], "data": ["a"]}], 422),
        ([{"name": "no_feature", "datatype": "FP64", "shape": [1], "data": [1.0]}], 422),
        ([{"name": "tenure_days", "datatype": "BYTES", "shape": [1], "data": ["x"]}], 422),
        ([{"name": "tenure_days", "datatype": "FP64", "shape": [1], "data": [SECRET]}], 422),
        ([{"name": "tenure_days", "datatype": "FP64", "shape": [501], "data": [1.0] * 501}], 422),
        ([{"name": "tenure_days", "datatype": "FP64", "shape": [1], "data": {"a": 1}}], 422),
        ([{"name": "tenure_days", "datatype": "FP64", "shape": [1], "data": None}], 422),
        ([{"name": "tenure_days", "datatype": "FP64", "shape": [1], "data": [1e300]}], 422),
        ([{"name": "tenure_days", "datatype": "FP64", "shape": [1], "data": ["1"]}], 422),
        ([{"name": "tenure_days", "datatype": "FP64", "shape": [1], "data": [True]}], 422),
        ([{"name": "tenure_days", "datatype": "UINT8", "shape": [1], "data": [256]}], 422),
        ([{"name": "tenure_days", "datatype": "FP64", "shape": [1 << 32, 1 << 32], "data": []}], 422),
        ([{"name": "tenure_days", "datatype": "FP64", "shape": [1], "data": [[[[1.0]]]]}], 422),
    ],
)
def test_v2_requests_that_are_not_right(server: Server, inputs: list[object], status: int) -> None:
    answer = server.client.post("/v2/models/churn/infer", json={"inputs": inputs})
    assert answer.status_code == status, answer.text
    assert isinstance(answer.json()["error"], str)
    assert SECRET not in answer.text


# In a process of its own: the client's messages have the names of those of the server's library.
TRITON = """
import json, sys
import numpy as np
import tritonclient.grpc as grpc

client, told = grpc.InferenceServerClient(sys.argv[1]), {}
told["ready"] = client.is_server_ready() and client.is_model_ready("churn")

def ask(ids):
    ids = np.array(ids, dtype=object).reshape(-1, 1)
    given = grpc.InferInput("customer_id", list(ids.shape), "BYTES")
    given.set_data_from_numpy(ids)
    return client.infer("churn", [given])

def refused(call):
    try:
        call()
    except grpc.InferenceServerException as error:
        return f"{error.status()} {error.message()}"

found = ask(sys.argv[2:])
told["scores"] = found.as_numpy("churn_score").ravel().tolist()
told["actions"] = [one.decode() for one in found.as_numpy("action").ravel()]
told["nobody"] = refused(lambda: ask(["nobody"]))
told["load"] = refused(lambda: client.load_model("churn"))
client.close()
print(json.dumps(told))
"""


def test_a_v2_client_over_grpc_gets_the_same_numbers(server: Server, house: House) -> None:
    decided = house.decisions.head(5)
    command = [sys.executable, "-c", TRITON, f"127.0.0.1:{server.grpc_port}", *decided["customer_id"]]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert told["ready"]
    assert told["scores"] == decided["risk_score"].tolist()
    assert told["actions"] == decided["action"].tolist()
    assert told["nobody"].startswith("StatusCode.NOT_FOUND customer_id: no published features have this customer")
    assert told["load"].startswith("StatusCode.PERMISSION_DENIED models are not loaded this way")


def test_metrics_count_what_was_asked(server: Server, customer: str) -> None:
    def value(text: str, start: str) -> float:
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(start))

    address = f"http://127.0.0.1:{server.metrics_port}/metrics"
    before = httpx.get(address).text
    for _ in range(5):
        server.score(customer_id=customer)
    server.score(customer_id="nobody")
    after = httpx.get(address).text
    for start, wanted in (
        ('spanishgas_requests_total{route="/score",status="200"}', 5),
        ('spanishgas_errors_total{kind="unknown_customer"}', 1),
        ("spanishgas_churn_score_count", 5),
        ('spanishgas_request_seconds_count{route="/score"}', 6),
    ):
        assert value(after, start) - value(before, start) == wanted, start
    assert value(after, "spanishgas_model_version") == 1
    assert value(after, "spanishgas_features_timestamp_seconds") == pd.Timestamp(AS_OF, tz="UTC").timestamp()
    assert customer not in after


def test_answers_are_sampled_for_monitoring_and_logs_are_lines_of_json(server: Server, customer: str) -> None:
    server.score(customer_id=customer)
    files = list(Path(server.more["LOG_FOLDER"]).glob("date=*/*.jsonl"))
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert any(row["customer_id"] == customer and row["model_version"] == "1" for row in rows)
    lines = [json.loads(line) for line in server.told.splitlines() if line.startswith("{")]
    requests = [line for line in lines if line["logger"] == "spanishgas.serving.request"]
    assert {"request_id", "route", "status", "ms", "time", "level"} <= set(requests[-1])
    assert customer not in "".join(json.dumps(line) for line in requests)


@pytest.mark.drill
def test_a_killed_worker_is_replaced_and_the_rest_goes_on(server: Server, customer: str) -> None:
    first, second = server.workers()
    os.kill(first, signal.SIGKILL)
    answers = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (len(server.workers()) < 2 or len(answers) < 50):
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
            answers.append(client.post("/score", json={"customer_id": customer}).status_code)
    assert set(answers) == {200}
    assert second in server.workers()
    assert first not in server.workers()


def test_without_a_champion_there_is_503_and_with_one_there_is_an_answer(champion_one: House, tmp_path: Path) -> None:
    house = champion_one
    shutil.copy(house.retailer.tracking.uri.removeprefix("sqlite:///"), tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    store = mlflow.MlflowClient(uri, uri)
    store.delete_registered_model_alias("churn", CHAMPION)
    more = {"TOKEN": "mine", "GRPC_PORT": "0", "METRICS_PORT": "0"}
    customer = house.decisions["customer_id"].iloc[0]
    with Server(house.retailer.root, uri, tmp_path / "cache", more) as server:
        server.wait(200, "/v2/health/live")
        assert server.client.get("/v2/health/ready").status_code == 503
        assert server.score(customer_id=customer).status_code == 401
        server.client.headers["authorization"] = "Bearer mine"
        answer = server.score(customer_id=customer)
        assert (answer.status_code, answer.json()["code"]) == (503, "no_champion")
        body = {"inputs": [{"name": "customer_id", "datatype": "BYTES", "shape": [1], "data": [customer]}]}
        assert server.client.post("/v2/models/churn/infer", json=body).status_code == 503
        store.set_registered_model_alias("churn", CHAMPION, "1")
        server.wait(200)
        assert server.score(customer_id=customer).status_code == 200
        assert server.client.post("/admin/refresh").status_code == 403
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(40) == 0


def test_others_are_let_in_with_a_token_only() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "spanishgas.serving"],
        env={**os.environ, "SPANISHGAS_SERVE_HOST": "0.0.0.0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "SPANISHGAS_SERVE_TOKEN" in done.stderr


def test_what_the_documents_say_to_type_is_answered(server: Server, customer: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    typed = []
    for file in ("README.md", "docs/serving.md"):
        text = (ROOT / file).read_text().replace("\\\n", " ")
        typed += [line for line in text.splitlines() if line.startswith("curl ")]
    assert len(typed) == 4
    for line in typed:
        here = line.replace("8080", str(server.port)).replace("C00001", customer).replace("2026-01-31", str(AS_OF))
        done = subprocess.run([*shlex.split(here), "--fail"], capture_output=True, text=True, check=True)
        told = json.loads(done.stdout)
        assert told.get("customer_id") == customer or told["outputs"][0]["name"] == "churn_score"
