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
