"""Entry point of the `response` stage."""

from pipelines._entry import run
from spanishgas.stages.response import STAGE

if __name__ == "__main__":
    raise SystemExit(run("response", [STAGE]))
