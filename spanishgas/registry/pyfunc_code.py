"""The code of a registered model (models from code): no pickle, its files are read by the code that travels along."""

from importlib import import_module
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

PROJECT = "spanishgas"


class FromFiles(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Reads its files with the loader that its configuration names, from the package of code beside them."""

    def load_context(self, context: Any) -> None:
        """Loads the files."""
        config = context.model_config
        module, _, path = str(config["loader"]).partition(":")
        loader: Any = import_module(module.replace(PROJECT, config["package"], 1))
        for name in path.split("."):
            loader = getattr(loader, name)
        self.loaded = loader(Path(context.artifacts["files"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Scores rows of features."""
        return self.loaded.predict(model_input)  # type: ignore[no-any-return]


mlflow.models.set_model(FromFiles())
