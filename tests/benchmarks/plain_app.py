"""The same answers from plain FastAPI: what a server costs that does nothing else."""

from fastapi import FastAPI
from starlette.responses import Response

from spanishgas.serving import answering
from spanishgas.serving.bundle import Bundle
from spanishgas.serving.descriptor import FILE, Descriptor
from spanishgas.serving.schema import ScoreRequest
from spanishgas.serving.settings import ServingSettings

SETTINGS = ServingSettings.read()
DESCRIPTOR = Descriptor.read(SETTINGS.cache_folder / FILE)
assert DESCRIPTOR is not None
BUNDLE = Bundle.load(DESCRIPTOR)
app = FastAPI()


@app.post("/score")
async def score(request: ScoreRequest) -> Response:
    """Answers."""
    body, _ = answering.answer(BUNDLE, request, SETTINGS.day, SETTINGS.max_batch)
    return Response(body, media_type="application/json")
