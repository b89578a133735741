"""Entry point of the `replay` stage."""

from pipelines._entry import run
from spanishgas.stages.replay import STAGE

if __name__ == "__main__":
    raise SystemExit(run("replay", [STAGE]))
