"""What a server takes and answers over REST and gRPC: as protocol and description say, whatever it is sent."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import jsonschema
import numpy as np
import pytest
from grpc import aio
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub
from prometheus_client import CollectorRegistry

from spanishgas.serving.bundle import Bundle
from spanishgas.serving.observability import Observer
from spanishgas.serving.server import ChurnServer
from spanishgas.serving.settings import ServingSettings
from tests.e2e import fuzz
from tests.e2e.house import TODAY, House, house
from tests.e2e.served import free_port

__all__ = ["house"]  # a fixture
SEED = 20260131
INFER = "/v2/models/churn/infer"


class Fixed:
    """Holds one bundle for good."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle


class Inside:
    """A worker's server in this process.

    Attributes:
        app: What answers over HTTP.
        known: What good requests are made of.
        schema: The description.
    """

    def __init__(self, bundle: Bundle, folder: Path) -> None:
        settings = ServingSettings.read(
            data_root=folder, today=TODAY, grpc_port=free_port(), max_body_bytes=1 << 16, max_batch=20
        )
        self.port = settings.grpc_port
        self.bundle = bundle
        asyncio.run(self._make(settings, bundle, Observer(folder, registry=CollectorRegistry())))
        self.app = self.server.rest.application
        snapshots = bundle.recommender.snapshots
        newest = snapshots[max(snapshots)]
        kinds = {"number": "FP64", "text": "BYTES"}
        self.known = fuzz.Known(
            [newest.customer(row) for row in range(20)],
            [day.isoformat() for day in snapshots],
            {name: kinds[kind] for name, kind in bundle.inputs.items()},
            ["churn_score", *(f"hazard_{name}" for name in bundle.recommender.model.windows)],
        )
        self.schema = self.ask("GET", "/openapi.json").json()

    async def _make(self, settings: ServingSettings, bundle: Bundle, observer: Observer) -> None:
        # In a loop: it gets MLServer's signal handlers, and takes them with it when it closes.
        self.server = ChurnServer(settings, Fixed(bundle), observer)  # type: ignore[arg-type]
        await self.server.load()

    def run(self, ask: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
        async def asked() -> Any:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return await ask(client)

        return asyncio.run(asked())

    def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        content = None if body is None else json.dumps(body).encode()
        return self.run(lambda client: client.request(method, path, content=content))  # type: ignore[no-any-return]

    @asynccontextmanager
    async def channel(self) -> Any:
        service = self.server._grpc_server
        serving = asyncio.ensure_future(service.start())
        try:
            async with aio.insecure_channel(f"127.0.0.1:{self.port}") as channel:
                await channel.channel_ready()
                yield channel
        finally:
            await service.stop()
            await serving

    def shape(self, name: str) -> dict[str, Any]:
        return {"$ref": f"#/components/schemas/{name}", "components": self.schema["components"]}


@pytest.fixture(scope="module")
def inside(house: House, tmp_path_factory: pytest.TempPathFactory) -> Inside:
    house.champion("1")
    folder = tmp_path_factory.mktemp("inside")
    return Inside(house.bundle(folder / "cache"), folder)


# the protocol


def by_customer(inside: Inside, count: int, **more: Any) -> dict[str, Any]:
    ids = list(inside.known.customers[:count])
    return {"inputs": [{"name": "customer_id", "datatype": "BYTES", "shape": [count, 1], "data": ids}], **more}


def test_server_and_model_tell_of_themselves_as_the_protocol_says(inside: Inside) -> None:
    assert set(inside.ask("GET", "/v2").json()) == {"name", "version", "extensions"}
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/churn/ready", "/v2/models/churn/versions/1/ready"):
        answer = inside.ask("GET", path)
        assert (answer.status_code, answer.json()["ready"]) == (200, True)
    told = inside.ask("GET", "/v2/models/churn").json()
    assert inside.ask("GET", "/v2/models/churn/versions/1").json() == told
    assert (told["name"], told["versions"], told["platform"]) == ("churn", ["1"], "spanishgas")
    for one in (*told["inputs"], *told["outputs"]):
        assert set(one) == {"name", "datatype", "shape"}
        assert one["shape"] == [-1, 1]
    listed = inside.ask("POST", "/v2/repository/index", {"ready": True}).json()
    assert listed == [{"name": "churn", "version": "1", "state": "READY", "reason": ""}]


@pytest.mark.parametrize("path", ["other", "churn/versions/9", "churn/versions/9/ready"])
def test_other_models_and_versions_are_not_found_and_not_repeated(inside: Inside, path: str) -> None:
    answer = inside.ask("GET", f"/v2/models/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_model")
    assert "other" not in answer.json()["error"]
    wrong = inside.ask("POST", "/v2/models/churn/versions/9/infer", by_customer(inside, 1))
    assert (wrong.status_code, wrong.json()["code"]) == (404, "no_such_model")


def test_an_inference_has_the_shape_that_the_protocol_says(inside: Inside) -> None:
    given = by_customer(inside, 3, id="mine", parameters={"anything": 1})
    told = inside.ask("POST", "/v2/models/churn/versions/1/infer", given).json()
    assert (told["model_name"], told["model_version"], told["id"]) == ("churn", "1", "mine")
    for one in told["outputs"]:
        assert one["shape"] == [3, 1]
        assert len(one["data"]) == 3
        assert all(isinstance(value, float if one["datatype"] == "FP64" else str) for value in one["data"])
    nested = by_customer(inside, 3)
    nested["inputs"][0]["data"] = [[value] for value in nested["inputs"][0]["data"]]
    assert inside.ask("POST", INFER, nested).json()["outputs"] == told["outputs"]
    names = ["action", "churn_score"]
    few = inside.ask("POST", INFER, by_customer(inside, 3, outputs=[{"name": name} for name in names])).json()
    by_name = {one["name"]: one for one in told["outputs"]}
    assert few["outputs"] == [by_name[name] for name in names]
    wrong = inside.ask("POST", INFER, by_customer(inside, 3, outputs=[{"name": "secret"}]))
    assert wrong.status_code == 422
    assert "secret" not in wrong.text


def test_the_protocol_over_grpc_says_the_same(inside: Inside) -> None:
    wanted = inside.ask("POST", INFER, by_customer(inside, 2)).json()["outputs"]
    ids = [one.encode() for one in inside.known.customers[:2]]

    def request(**more: Any) -> pb.ModelInferRequest:
        found = pb.ModelInferRequest(model_name="churn", id="mine", **more)
        found.inputs.add(name="customer_id", datatype="BYTES", shape=[2, 1])
        return found

    async def ask() -> None:
        async with inside.channel() as channel:
            stub = GRPCInferenceServiceStub(channel)
            assert (await stub.ServerReady(pb.ServerReadyRequest())).ready
            assert (await stub.ServerMetadata(pb.ServerMetadataRequest())).name == "spanishgas"
            assert (await stub.ModelReady(pb.ModelReadyRequest(name="churn"))).ready
            metadata = await stub.ModelMetadata(pb.ModelMetadataRequest(name="churn", version="1"))
            assert [one.name for one in metadata.inputs] == list(inside.known.inputs)
            listed = await stub.RepositoryIndex(pb.RepositoryIndexRequest())
            assert [(one.name, one.version, one.state) for one in listed.models] == [("churn", "1", "READY")]
            typed = request()
            typed.inputs[0].contents.bytes_contents.extend(ids)
            answer = await stub.ModelInfer(typed)
            assert (answer.id, answer.model_version, answer.outputs[0].name) == ("mine", "1", "churn_score")
            assert list(answer.outputs[0].contents.fp64_contents) == wanted[0]["data"]
            words = {one.name: list(one.contents.bytes_contents) for one in answer.outputs if one.datatype == "BYTES"}
            told = {one["name"]: one["data"] for one in wanted if one["datatype"] == "BYTES"}
            assert words == {name: [value.encode() for value in values] for name, values in told.items()}
            raw = request()
            raw.raw_input_contents.append(b"".join(len(one).to_bytes(4, "little") + one for one in ids))
            answer = await stub.ModelInfer(raw)
            assert np.frombuffer(answer.raw_output_contents[0], "<f8").tolist() == wanted[0]["data"]
            for wrong, code in (
                (request(model_version="9"), grpc.StatusCode.NOT_FOUND),
                (request(), grpc.StatusCode.INVALID_ARGUMENT),
            ):
                with pytest.raises(aio.AioRpcError) as caught:
                    await stub.ModelInfer(wrong)
                assert caught.value.code() is code
            with pytest.raises(aio.AioRpcError) as caught:
                await anext(aiter(stub.ModelStreamInfer(iter([typed]))))
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
            with pytest.raises(aio.AioRpcError) as caught:
                await stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="churn"))
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED

    asyncio.run(ask())


# whatever is sent


def validator(inside: Inside, name: str) -> Any:
    return jsonschema.Draft202012Validator(inside.shape(name), format_checker=jsonschema.FormatChecker(["date"]))


def rest(inside: Inside, seed: int, count: int) -> Counter[str]:
    """Sends requests and holds every answer against the description.

    Returns:
        How many there were of each path and status.
    """
    dice = random.Random(seed)
    shapes = inside.schema["components"]["schemas"]
    asked = {name: validator(inside, name) for name in ("ScoreRequest", "InferRequest")}
    told = {name: validator(inside, name) for name in ("ScoreAnswer", "ManyAnswers", "InferenceResponse", "Problem")}
    good = {"ScoreRequest": fuzz.score_request, "InferRequest": fuzz.infer_request}
    found: Counter[str] = Counter()

    async def send(client: httpx.AsyncClient) -> None:
        for _ in range(count):
            shape, path = dice.choice((("ScoreRequest", "/score"), ("InferRequest", INFER)))
            if dice.random() < 0.4:
                value = fuzz.of_schema(shapes[shape], inside.schema, dice)
            else:
                value = good[shape](inside.known, dice)
                for _ in range(dice.choice((0, 1, 1, 2))):
                    value = fuzz.damaged(value, dice)
            body = fuzz.body(value, dice)
            answer = await client.post(path, content=body)
            status = answer.status_code
            found[f"{path} {status}"] += 1
            assert status in (200, 400, 404, 413, 422), (status, answer.text, body)
            try:
                sent = json.loads(body, parse_constant=lambda text: pytest.fail(text))
                is_json = True
            except (ValueError, RecursionError, pytest.fail.Exception):
                sent, is_json = None, False
            is_described = is_json and asked[shape].is_valid(sent)
            if status == 200:
                assert is_described, body
                name = "InferenceResponse" if path == INFER else "ManyAnswers" if "customers" in sent else "ScoreAnswer"
                if name != "InferenceResponse" and sent.get("customers") is None:
                    name = "ScoreAnswer"
                told[name].validate(answer.json())
            else:
                told["Problem"].validate(answer.json())
                if path == "/score" and is_described:
                    assert status == 404, (body, answer.text)

    inside.run(send)
    return found


def test_whatever_is_sent_is_answered_as_described(inside: Inside) -> None:
    found = rest(inside, SEED, 400)
    assert min(found[f"{path} {status}"] for path in ("/score", INFER) for status in (200, 404, 422)) >= 3, found


@pytest.mark.drill
def test_of_sixteen_thousand_requests_none_is_answered_otherwise_than_described(inside: Inside) -> None:
    found = rest(inside, SEED + 1, 16_000)
    print(dict(found))
    assert sum(found.values()) == 16_000
    assert not [one for one in found if one.endswith("500")]


def message(known: fuzz.Known, dice: random.Random) -> pb.ModelInferRequest:
    """A good request as gRPC carries it, with typed or raw contents, and now and then one thing wrong with it."""
    given = fuzz.infer_request(known, dice)
    found = pb.ModelInferRequest(model_name="churn", id=given.get("id", ""))
    is_raw = dice.random() < 0.5
    for one in given["inputs"]:
        tensor = found.inputs.add(name=one["name"], datatype=one["datatype"], shape=one["shape"])
        values = [np.nan if value is None else value for value in one["data"]]
        if one["datatype"] == "BYTES":
            told = [str(value).encode() for value in values]
            if is_raw:
                raw = b"".join(len(value).to_bytes(4, "little") + value for value in told)
                found.raw_input_contents.append(raw)
            else:
                tensor.contents.bytes_contents.extend(told)
        elif is_raw:
            found.raw_input_contents.append(np.array(values, "<f8").tobytes())
        else:
            tensor.contents.fp64_contents.extend(values)
    for one in given.get("outputs", ()):
        found.outputs.add(name=one["name"])
    return found


def spoil(found: pb.ModelInferRequest, dice: random.Random) -> None:
    """Changes one thing."""
    tensor = dice.choice(found.inputs)
    raw = found.raw_input_contents
    hows: list[Callable[[], object]] = [
        lambda: setattr(tensor, "datatype", dice.choice(("FP16", "INT8", "BOOL", "", "X", "BYTES", "UINT64"))),
        lambda: setattr(tensor, "name", dice.choice(("", "x" * 300, "customer_id", "tenure_days"))),
        lambda: tensor.shape.append(dice.choice((0, -1, 2, 1 << 40, -(1 << 62)))),
        lambda: tensor.ClearField("shape"),
        lambda: tensor.ClearField("contents"),
        lambda: tensor.contents.fp64_contents.extend([float("inf"), -float("inf"), 1e300]),
        lambda: tensor.contents.bytes_contents.append(b"\xff\xfe"),
        lambda: tensor.contents.bool_contents.append(True),
        lambda: found.ClearField("inputs"),
        lambda: setattr(found, "model_name", dice.choice(("", "other", "\x00"))),
        lambda: setattr(found, "model_version", dice.choice(("1", "99", "x"))),
        lambda: found.outputs.add(name="no_output"),
        lambda: raw.append(dice.randbytes(dice.randrange(9))),
        lambda: found.parameters["a"].__setattr__("bool_param", True),
        lambda: raw and raw.__setitem__(0, dice.randbytes(dice.randrange(20))),
    ]
    dice.choice(hows)()


def remote(inside: Inside, seed: int, count: int) -> Counter[str]:
    """Sends requests over gRPC; some are bytes that are no message at all."""
    dice = random.Random(seed)
    found: Counter[str] = Counter()
    allowed = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}

    async def send() -> None:
        async with inside.channel() as channel:
            call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            for _ in range(count):
                given = message(inside.known, dice)
                for _ in range(dice.choice((0, 1, 1, 2))):
                    if given.inputs:
                        spoil(given, dice)
                data = given.SerializeToString()
                if dice.random() < 0.1:
                    place = dice.randrange(len(data))
                    data = data[:place] + dice.randbytes(2) + data[place + 1 :]
                code, text = grpc.StatusCode.OK, ""
                try:
                    answer = pb.ModelInferResponse.FromString(await call(data))
                    assert answer.model_name == "churn"
                    assert answer.outputs[0].shape[0] == given.inputs[0].shape[0]
                except aio.AioRpcError as error:
                    code, text = error.code(), error.details() or ""
                found[code.name] += 1
                assert code in allowed, (code, text, given)

    asyncio.run(send())
    return found


def test_whatever_is_sent_over_grpc_is_answered_or_refused(inside: Inside) -> None:
    found = remote(inside, SEED, 150)
    assert set(found) == {"OK", "INVALID_ARGUMENT", "NOT_FOUND"}, found


@pytest.mark.drill
def test_of_four_thousand_calls_none_is_a_fault(inside: Inside) -> None:
    found = remote(inside, SEED + 1, 4_000)
    print(dict(found))
    assert sum(found.values()) == 4_000
