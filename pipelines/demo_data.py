"""Entry point of the `demo_data` stage."""

from pipelines._entry import run
from spanishgas.stages.demo_data import STAGE

if __name__ == "__main__":
    raise SystemExit(run("demo_data", [STAGE]))
