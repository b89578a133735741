"""What is registered as one version, in the terms of MLflow: signature, example, requirements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

ColumnKind = Literal["double", "boolean", "string", "any"]


@dataclass(frozen=True)
class ModelPackage:
    """What is registered as one version.

    Attributes:
        files: Folder of the model's files.
        digest: Digest of the files; one digest is one version.
        loader: ``module:function`` of this project that reads the folder.
        inputs: Feature -> type; ``any`` takes what comes, missing values of flags too.
        outputs: Names of the scores.
        example: A few rows of features.
        requirements: Names of the distributions that loading and scoring need; they are pinned as they are installed.
        parameters: Settings, for the model's page.
        metrics: Figures, for the model's page.
        tags: Facts of the version; ``kind`` also names the logged model.
        measured_on: Begin of a figure's name -> name and digest of the rows that it was measured on, as the run has
            recorded them.
        description: Markdown.
        beside: Folder of files that go with the version and are no part of the model; None for none.
    """

    files: Path
    digest: str
    loader: str
    inputs: Mapping[str, ColumnKind]
    outputs: Sequence[str]
    example: "pd.DataFrame"
    requirements: Sequence[str]
    parameters: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    measured_on: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    description: str = ""
    beside: Path | None = None


def signature_of(package: ModelPackage) -> "ModelSignature":
    """What the model takes, all of it optional, and what it returns."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    def told(kind: ColumnKind) -> "AnyType | str":
        return AnyType() if kind == "any" else kind  # type: ignore[no-untyped-call]

    return ModelSignature(
        Schema([ColSpec(told(kind), name, required=False) for name, kind in package.inputs.items()]),
        Schema([ColSpec("double", name) for name in package.outputs]),
    )


def example_of(package: ModelPackage) -> "pd.DataFrame":
    """The example in the signature's types."""
    import pandas as pd

    columns = {}
    for name, kind in package.inputs.items():
        values = package.example[name]
        columns[name] = pd.to_numeric(values).astype("float64") if kind == "double" else values.astype("object")
        if kind == "boolean":
            columns[name] = columns[name].astype("bool")
    return pd.DataFrame(columns)


def pinned(names: Sequence[str], file: Path) -> list[str]:
    """Requirements as they are installed here; what these need in turn goes into a file of constraints."""
    waiting, pins = list(names), dict[str, str]()
    while waiting:
        name = canonicalize_name(waiting.pop())
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # a requirement of another platform
        if name not in pins:
            pins[name] = found.version
            needed = [Requirement(one) for one in found.requires or ()]
            waiting += [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    file.write_text("".join(f"{name}=={pins[name]}\n" for name in sorted(pins)), encoding="utf-8")
    return [*(f"{name}=={pins[canonicalize_name(name)]}" for name in names), f"-c {file}"]
