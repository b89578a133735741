"""Entry point of the `segment` stage."""

from pipelines._entry import run
from spanishgas.stages.segment import STAGE

if __name__ == "__main__":
    raise SystemExit(run("segment", [STAGE]))
