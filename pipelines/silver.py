"""Entry point of the `silver` stage."""

from pipelines._entry import run
from spanishgas.stages.silver import STAGE

if __name__ == "__main__":
    raise SystemExit(run("silver", [STAGE]))
