"""Entry point of the `retention` stage."""

from pipelines._entry import run
from spanishgas.stages.retention import STAGE

if __name__ == "__main__":
    raise SystemExit(run("retention", [STAGE]))
