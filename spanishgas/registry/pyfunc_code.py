"""The code of a registered model (models from code): no pickle, the files are read by the room that wrote them."""

from importlib import import_module
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

PACKAGE = "spanishgas."


class FromFiles(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Reads its files with the loader that the model's configuration names, and predicts with what that returns."""

    def load_context(self, context: Any) -> None:
        """Loads the files.

        Raises:
            ValueError: The loader is not one of this project.
        """
        module, _, path = str(context.model_config["loader"]).partition(":")
        if not module.startswith(PACKAGE):
            raise ValueError(f"loader {module!r} is not one of {PACKAGE}*: refused")
        loader: Any = import_module(module)
        for name in path.split("."):
            loader = getattr(loader, name)
        self.loaded = loader(Path(context.artifacts["files"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Scores rows of features."""
        return self.loaded.predict(model_input)  # type: ignore[no-any-return]


mlflow.models.set_model(FromFiles())
