"""What the server tells of itself: Prometheus metrics, one log line per request, and a sample of its answers."""

import json
import logging
import os
import random
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from spanishgas.scoring.online import Answer

if TYPE_CHECKING:
    from spanishgas.serving.bundle import Bundle

SECONDS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.125, 0.25, 0.5, 1.0, 4.0)
CHANCES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3, 0.5, 0.8)
# A file of the request log; a full one is left, and the day's log goes on in no other.
MOST_LOG_BYTES = 256 << 20


class JsonLines(logging.Formatter):
    """Log records as one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Time in UTC, level, logger, message; the traceback stays here and never goes to a caller."""
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            told["trace"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)


def set_up_logging(level: int = logging.INFO) -> None:
    """Sends all logs to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "mlserver", "mlserver.rest", "mlserver.grpc"):
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
    # One line per request is ours. What is no HTTP is counted; a flood of it fills no disk.
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)


class Observer:
    """Counts, times and samples.

    Args:
        registry: Where the metrics are registered.
        log_folder: Folder of the request log.
        log_share: Share of answers that go into it.
    """

    def __init__(self, log_folder: Path, log_share: float = 0.0, registry: CollectorRegistry = REGISTRY) -> None:
        self._folder, self._share = log_folder, log_share
        self._random = random.Random()  # noqa: S311 - which answers are sampled is no secret  # nosec B311
        self._log = logging.getLogger("spanishgas.serving.request")
        self._requests = Counter(
            "spanishgas_requests", "Requests by route and status.", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "spanishgas_request_seconds",
            "Seconds from the body to the answer.",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self._errors = Counter("spanishgas_errors", "Requests without an answer, by kind.", ["kind"], registry=registry)
        self._scores = Histogram("spanishgas_churn_score", "Churn scores answered.", buckets=CHANCES, registry=registry)
        self._actions = Counter(
            "spanishgas_recommendations", "Recommendations answered.", ["action", "source"], registry=registry
        )
        self._stale = Counter(
            "spanishgas_moved",
            "Answers whose decision rests on something that has moved on.",
            ["what"],
            registry=registry,
        )
        newest = {"multiprocess_mode": "mostrecent", "registry": registry}
        self._model = Gauge("spanishgas_model_version", "Version of the champion.", **newest)  # type: ignore[arg-type]
        self._as_of = Gauge(
            "spanishgas_features_timestamp_seconds",
            "Date of the newest features.",
            **newest,  # type: ignore[arg-type]
        )
        self._loaded = Gauge("spanishgas_bundle_loaded_timestamp_seconds", "When the bundle was swapped in.", **newest)  # type: ignore[arg-type]
        self._bundles = Counter("spanishgas_bundles", "Bundles, by how it ended.", ["outcome"], registry=registry)

    def request(self, route: str, status: int, seconds: float, request_id: str, kind: str) -> None:
        """A request has been answered, or refused for a reason of that kind."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        if kind:
            self._errors.labels(kind).inc()
        if self._log.isEnabledFor(logging.INFO):
            facts = {"request_id": request_id, "route": route, "status": status, "ms": round(1000 * seconds, 3)}
            self._log.info("request", extra={"facts": facts | ({"kind": kind} if kind else {})})

    def refused(self, kind: str) -> None:
        """A connection was ended before a request came of it."""
        self._errors.labels(kind).inc()

    def answered(self, answers: Sequence[Answer], version: str) -> None:
        """Scores and recommendations went out."""
        for one in answers:
            self._scores.observe(one.risk)
            self._actions.labels(one.recommendation.action, one.recommendation.source).inc()
            for what in one.moved:
                self._stale.labels(what).inc()
            if self._share and self._random.random() < self._share:
                self._sample(one, version)

    def swapped(self, bundle: "Bundle", seconds: float) -> None:
        """Another bundle answers from now on."""
        newest = max(bundle.recommender.snapshots)
        if bundle.recommender.version.isdigit():
            self._model.set(int(bundle.recommender.version))
        self._as_of.set(datetime(newest.year, newest.month, newest.day, tzinfo=UTC).timestamp())
        self._loaded.set(time.time())
        self._bundles.labels("loaded").inc()
        logging.getLogger("spanishgas.serving").info(
            "bundle loaded",
            extra={
                "facts": {
                    "bundle": bundle.id,
                    "model": bundle.model_name,
                    "version": bundle.recommender.version,
                    "as_of": newest.isoformat(),
                    "customers": len(bundle.recommender.snapshots[newest].features),
                    "seconds": round(seconds, 3),
                }
            },
        )

    def failed_bundle(self) -> None:
        """A bundle could not be loaded; the one before goes on."""
        self._bundles.labels("failed").inc()

    def _sample(self, one: Answer, version: str) -> None:
        """Appends an answer to the day's file of this process: what was asked of whom, and what was said."""
        now = datetime.now(tz=UTC)
        file = self._folder / f"date={now.date().isoformat()}" / f"{os.getpid()}.jsonl"
        row = {
            "time": now,
            "customer_id": one.customer_id,
            "as_of": one.as_of,
            "risk": one.risk,
            "action": one.recommendation.action,
            "source": one.recommendation.source,
            "model_version": version,
            "policy_version": one.policy_version,
            "features_hash": one.features_hash,
            "moved": one.moved,
        }
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("ab") as handle:
                if handle.tell() < MOST_LOG_BYTES:
                    handle.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        except OSError as error:  # a full disk stops no answer
            logging.getLogger("spanishgas.serving").warning("the request log cannot be written: %s", error)
