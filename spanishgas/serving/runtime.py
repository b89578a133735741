"""The MLServer runtime: decodes, calls the recommender, encodes."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from mlserver import MLModel, ModelSettings
from mlserver.handlers import custom_handler
from mlserver.types import InferenceRequest, InferenceResponse, MetadataModelResponse
from starlette.responses import Response

from spanishgas.serving import answering, tensors
from spanishgas.serving.errors import NotReadyError
from spanishgas.serving.schema import ScoreRequest

if TYPE_CHECKING:
    from spanishgas.serving.bundle import Bundle
    from spanishgas.serving.holder import BundleHolder
    from spanishgas.serving.observability import Observer
    from spanishgas.serving.settings import ServingSettings

# More rows than this are scored in a thread, so that others need not wait for them; so many at a time.
INLINE_ROWS = 8
BATCHES = 2


class ChurnRuntime(MLModel):  # type: ignore[misc]
    """One model, ``churn``: the champion with the published decisions.

    It is never reloaded by MLServer, which loses requests that way; the holder swaps what it answers from.
    """

    holder: "BundleHolder"
    observer: "Observer"
    serving: "ServingSettings"

    @classmethod
    def of(cls, holder: "BundleHolder", observer: "Observer", serving: "ServingSettings") -> type["ChurnRuntime"]:
        """The class as MLServer wants it: it makes the instance itself, from model settings only."""
        return type(cls.__name__, (cls,), {"holder": holder, "observer": observer, "serving": serving})

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        self._batches = ThreadPoolExecutor(BATCHES, "batch")

    @property
    def ready(self) -> bool:
        """Whether there is a champion to answer."""
        return self.holder.bundle is not None

    @ready.setter
    def ready(self, value: bool) -> None:
        """MLServer's own word on it changes nothing."""

    # No property: MLServer reads every one of them as it looks for handlers.
    def _bundle(self) -> "Bundle":
        bundle = self.holder.bundle
        if bundle is None:
            raise NotReadyError("there is no champion yet", todo="Run `promote`, or `make demo`")
        return bundle

    async def _aside(self, function: Any, *given: Any) -> Any:
        """Calls in a thread; who has waited for it to the deadline goes, and what was begun ends by itself."""
        return await asyncio.get_running_loop().run_in_executor(self._batches, function, *given)

    async def load(self) -> bool:
        """Nothing: the holder loads."""
        return True

    async def metadata(self) -> MetadataModelResponse:
        """What the champion takes and gives."""
        return tensors.metadata(self._bundle())

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """A V2 request."""
        bundle, most = self._bundle(), self.serving.max_batch
        first = payload.inputs[0] if payload.inputs else None
        if first is not None and first.shape and first.shape[0] > INLINE_ROWS:
            response, found = await self._aside(tensors.infer, bundle, payload, self.serving.day, most)
        else:
            response, found = tensors.infer(bundle, payload, self.serving.day, most)
        self.observer.answered(found, bundle.recommender.version)
        return response

    @custom_handler(rest_path="/score")  # type: ignore[untyped-decorator]
    async def score(self, request: ScoreRequest) -> Response:
        """Score, segment, recommendation and reasons of a customer, or of several."""
        bundle, most = self._bundle(), self.serving.max_batch
        if request.customers is not None and len(request.customers) > INLINE_ROWS:
            body, found = await self._aside(answering.answer, bundle, request, self.serving.day, most)
        else:
            body, found = answering.answer(bundle, request, self.serving.day, most)
        self.observer.answered(found, bundle.recommender.version)
        return Response(body, media_type="application/json")
