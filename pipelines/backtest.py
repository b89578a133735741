"""Entry point of the `backtest` stage."""

from pipelines._entry import run
from spanishgas.stages.backtest import STAGE

if __name__ == "__main__":
    raise SystemExit(run("backtest", [STAGE]))
