"""Registered models: versions, aliases, and the way back to a model's files."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from spanishgas.errors import ModelFileError, TrackingError
from spanishgas.registry.carried_code import carry_code
from spanishgas.registry.limits import MAX_DESCRIPTION, MAX_VERSION_TAG, shorten
from spanishgas.registry.package import ModelPackage, example_of, pinned, signature_of
from spanishgas.registry.patience import trouble

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

CODE = Path(__file__).with_name("pyfunc_code.py")
DIGEST_TAG = "files_digest"
BESIDE_TAG = "beside_digest"
FILES, BESIDE = "files", "beside"
# On a logged model: the versions that it is registered as, which its page links to.
VERSIONS_TAG = "mlflow.modelVersions"
LOGGED_PREFIX = "models:/"
CODE_TAG = "code"


@dataclass(frozen=True)
class ModelVersion:
    """A version in the registry.

    Attributes:
        name: Registered model.
        version: Number of the version.
        digest: Digest of its files.
        run_id: The run that made it.
        tags: Its tags.
        model_id: The logged model behind it; empty where there is none.
    """

    name: str
    version: str
    digest: str
    run_id: str
    tags: Mapping[str, str]
    model_id: str = ""

    @property
    def uri(self) -> str:
        """Address of exactly this version."""
        return f"models:/{self.name}/{self.version}"


class ModelRegistry:
    """Versions and aliases of registered models.

    Args:
        client: Client of the tracking store.
    """

    def __init__(self, client: "MlflowClient") -> None:
        self._client = client

    def with_digest(self, name: str, digest: str) -> ModelVersion | None:
        """The newest version with these files, or None."""
        found = self._client.search_model_versions(f"name='{name}' and tags.`{DIGEST_TAG}` = '{digest}'")
        ready = [one for one in found if one.status == "READY"]
        return version_of(max(ready, key=lambda one: int(one.version))) if ready else None

    def newest(self, name: str) -> ModelVersion | None:
        """The version registered last, or None."""
        ready = [one for one in self._client.search_model_versions(f"name='{name}'") if one.status == "READY"]
        return version_of(max(ready, key=lambda one: int(one.version))) if ready else None

    def with_alias(self, name: str, alias: str) -> ModelVersion | None:
        """The version that an alias points to, or None."""
        return self._found(name, f"@{alias}", lambda: self._client.get_model_version_by_alias(name, alias))

    def _found(self, name: str, what: str, ask: Callable[[], Any]) -> ModelVersion | None:
        from mlflow.exceptions import MlflowException

        try:
            return version_of(ask())
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise TrackingError(
                f"the model registry does not answer: {error}", where=f"models:/{name} {what}"
            ) from error

    def with_number(self, name: str, number: str) -> ModelVersion | None:
        """The version of that number, or None."""
        return self._found(name, number, lambda: self._client.get_model_version(name, number))

    def point(self, name: str, alias: str, version: ModelVersion) -> None:
        """Lets an alias point to a version."""
        self._client.set_registered_model_alias(name, alias, version.version)

    def ensure(self, run_id: str, experiment_id: str, name: str, package: ModelPackage) -> tuple[ModelVersion, bool]:
        """The version with these files; it is registered if there is none (any more).

        Args:
            run_id: The run that the version is linked to if it must be made.
            experiment_id: Its experiment.
            name: Registered model.
            package: What to register.

        Returns:
            The version, and whether it was made now.
        """
        found = self.with_digest(name, package.digest)
        # A version of an earlier release may lack its code, or what goes beside it by now: the same files are
        # registered again.
        wanted = {CODE_TAG} if package.beside is None else {CODE_TAG, BESIDE_TAG}
        if found is not None and wanted <= set(found.tags):
            return found, False
        label = f"{name}-{package.tags.get('kind', 'model')}"
        with TemporaryDirectory() as folder:
            code = carry_code(package.loader, Path(folder))
            uri, model_id = self._log(run_id, experiment_id, label, package, code)
        self._create(name)
        tags = {tag: shorten(value, MAX_VERSION_TAG) for tag, value in package.tags.items()}
        made = self._client.create_model_version(
            name,
            source=uri,
            run_id=run_id,
            model_id=model_id,
            tags={**tags, DIGEST_TAG: package.digest, CODE_TAG: code.name, **_beside_tag(package.beside)},
            description=shorten(package.description, MAX_DESCRIPTION),
        )
        # What registering by MLflow's own shortcut does beside: without it the model's page says "Not registered".
        versions = json.dumps([{"name": name, "version": str(made.version)}])
        self._client.set_logged_model_tags(model_id, {VERSIONS_TAG: versions})
        return version_of(made), True

    def _create(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(
                name, description="Probability of leaving within the horizon, by window."
            )
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _log(self, run_id: str, experiment_id: str, label: str, package: ModelPackage, code: Path) -> tuple[str, str]:
        """Logs the model as an output of a run; returns its address and id."""
        import mlflow
        from mlflow.entities import LoggedModelOutput

        quiet()
        logged = self._client.create_logged_model(
            experiment_id,
            name=label,
            source_run_id=run_id,
            params=dict(package.parameters),
            tags=dict(package.tags),
        )
        info = mlflow.pyfunc.log_model(
            name=label,
            model_id=logged.model_id,
            python_model=str(CODE),
            artifacts={FILES: str(package.files), **({BESIDE: str(package.beside)} if package.beside else {})},
            model_config={"loader": package.loader, "package": code.name},
            code_paths=[str(code)],
            signature=signature_of(package),
            input_example=example_of(package),
            pip_requirements=pinned(package.requirements, code.parent / "constraints.txt"),
        )
        self._client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        self._client.log_batch(run_id, metrics=list(_measured(package, logged.model_id)))
        return str(info.model_uri), str(logged.model_id)

    def fetch(self, version: ModelVersion, folder: Path, *, loader: str, digest: Callable[[Path], str]) -> Path:
        """Brings the files of a version into a folder.

        Args:
            version: The version.
            folder: Where to put them.
            loader: The loader that the version must name.
            digest: Takes the digest that the files were registered under.

        Raises:
            ModelFileError: It is no model of this project, its code is not ours, or its files are gone or not those
                that were registered.
        """
        import yaml

        quiet()
        local = _downloaded(version, folder)
        try:
            flavor = yaml.safe_load((local / "MLmodel").read_text(encoding="utf-8"))["flavors"]["python_function"]
            named, path = flavor["config"]["loader"], flavor["artifacts"][FILES]["path"]
        except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
            raise ModelFileError(
                "is not a model of this project", where=version.uri, todo="Register models with the train stage only"
            ) from error
        if named != loader:
            raise ModelFileError(f"names the loader {named!r}, not {loader!r}: refused", where=version.uri)
        files = local / str(path)
        found = digest(files)
        if found != version.digest:
            raise ModelFileError(
                f"its files (digest {found[:16]}) are not those that were registered ({version.digest[:16] or 'none'})",
                where=version.uri,
                todo="Restore the artifacts, or train again",
            )
        return files

    def beside_digest(self, version: ModelVersion) -> str:
        """Digest of what stands beside a version, or beside another with the same model files; empty for nothing."""
        return self._holder(version).tags.get(BESIDE_TAG, "")

    def _holder(self, version: ModelVersion) -> ModelVersion:
        """Versions with the same model files are one model: where this one has nothing beside it, another may."""
        if BESIDE_TAG in version.tags:
            return version
        return self.with_digest(version.name, version.digest) or version

    def fetch_beside(self, version: ModelVersion, folder: Path) -> Path | None:
        """Brings the files beside a version into a folder; None where it has none.

        Raises:
            ModelFileError: The files are gone, or not those that were registered.
        """
        quiet()
        holder = self._holder(version)
        if BESIDE_TAG not in holder.tags:
            return None
        local = _downloaded(holder, folder)
        files = local / "artifacts" / BESIDE
        if not files.is_dir() or _beside_tag(files)[BESIDE_TAG] != holder.tags[BESIDE_TAG]:
            raise ModelFileError(
                "the files beside the model are not those that were registered",
                where=holder.uri,
                todo="Restore the artifacts, or train again",
            )
        return files


def _measured(package: ModelPackage, model_id: str) -> Iterator["Metric"]:
    """The figures of a logged model, each linked to the table that it was measured on."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    for key, value in package.metrics.items():
        table, digest = next(
            (rows for begin, rows in package.measured_on.items() if key.startswith(begin)), (None, None)
        )
        yield Metric(key, value, now, 0, model_id=model_id, dataset_name=table, dataset_digest=digest)


def _downloaded(version: ModelVersion, folder: Path) -> Path:
    """A version's artifacts in a folder.

    Raises:
        ModelFileError: They are gone or cannot be read.
    """
    import mlflow

    try:
        local = Path(mlflow.artifacts.download_artifacts(version.uri, dst_path=str(folder)))
        if not (local / "MLmodel").is_file():
            raise FileNotFoundError("there is no MLmodel")
        return local
    except (mlflow.exceptions.MlflowException, OSError) as error:
        if trouble(error, "") is not None:  # the store is away, not the files
            raise
        raise ModelFileError(
            f"its artifacts are gone or cannot be read ({str(error).splitlines()[0][:300]})",
            where=version.uri,
            todo="Restore the artifacts, or train again",
        ) from error


def quiet() -> None:
    """Small files need no progress bars, and an example that fits its signature is no news."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)


def _beside_tag(folder: Path | None) -> dict[str, str]:
    """The tag that tells whether files beside a version are whole."""
    if folder is None:
        return {}
    total = hashlib.sha256()
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        total.update(file.name.encode())
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return {BESIDE_TAG: total.hexdigest()}


def version_of(entity: Any) -> ModelVersion:
    """What the tracking store tells of a version."""
    tags = dict(entity.tags)
    # Stores tell the logged model as the version's source, `models:/m-...`, only.
    logged = str(entity.source or "").removeprefix(LOGGED_PREFIX)
    model_id = logged if logged != entity.source and logged.startswith("m-") else ""
    return ModelVersion(entity.name, str(entity.version), tags.get(DIGEST_TAG, ""), entity.run_id or "", tags, model_id)
