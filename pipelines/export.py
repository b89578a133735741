"""Entry point of the `export` stage."""

from pipelines._entry import run
from spanishgas.stages.export import STAGE

if __name__ == "__main__":
    raise SystemExit(run("export", [STAGE]))
