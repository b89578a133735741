"""Entry point of the `promote` stage."""

from pipelines._entry import run
from spanishgas.stages.promote import STAGE

if __name__ == "__main__":
    raise SystemExit(run("promote", [STAGE]))
