"""Entry point of the pipeline: all stages in one process, as children of one run."""

from pipelines._entry import run
from spanishgas.stages.catalog import STAGES

if __name__ == "__main__":
    raise SystemExit(run("run_pipeline", STAGES))
