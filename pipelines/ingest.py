"""Entry point of the `ingest` stage."""

from pipelines._entry import run
from spanishgas.stages.ingest import STAGE

if __name__ == "__main__":
    raise SystemExit(run("ingest", [STAGE]))
