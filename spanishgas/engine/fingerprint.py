"""Fingerprints: when two runs of a stage would publish the same thing.

A fingerprint covers what a result depends on and nothing else: the contents of the inputs, the settings that the stage
reads, the meaning of the code that it can reach, and the locked versions of the libraries.
"""

import ast
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from pydantic import BaseModel

from spanishgas.errors import ConfigError

PACKAGE = "spanishgas"
PACKAGE_ROOT = Path(__file__).resolve().parents[2]
LOCK_FILE = PACKAGE_ROOT / "requirements.lock"


def fingerprint(
    *, stage: str, target: str, settings: BaseModel, inputs: Mapping[str, str], code: str, lock: str
) -> str:
    """Digest of all that the published result depends on.

    Args:
        stage: Name of the stage.
        target: What it publishes.
        settings: The settings that it reads, and no others.
        inputs: Digest of each input.
        code: Digest of its code, see ``code_digest``.
        lock: Digest of the library versions, see ``lock_digest``.
    """
    parts = {
        "stage": stage,
        "target": target,
        "settings": settings.model_dump(mode="json"),
        "inputs": dict(inputs),
        "code": code,
        "lock": lock,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def code_digest(module: str, *, root: Path = PACKAGE_ROOT) -> str:
    """Digest of a module and of every project module that it can import, at any depth.

    Comments and layout do not count: the digest is taken over the syntax trees.

    Args:
        module: Dotted name of a module of this project.
        root: Folder that holds the package.

    Raises:
        ConfigError: There is no such module.
    """
    digest = hashlib.sha256()
    for name, file in sorted(import_closure(module, root=root).items()):
        digest.update(name.encode())
        digest.update(_syntax_digest(str(file), file.stat().st_mtime_ns).encode())
    return digest.hexdigest()


def import_closure(module: str, *, root: Path = PACKAGE_ROOT) -> dict[str, Path]:
    """Project modules reachable from a module by import statements, wherever they stand in it."""
    # Looked at once: most imported names are no modules, and to ask for each of them takes longer than all else.
    modules = {name: file for top in {module.split(".")[0], PACKAGE} for name, file in _modules(root, top)}
    if module not in modules:
        raise ConfigError("no such module", where=module)
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or name not in modules:
            continue
        found[name] = file = Path(modules[name])
        waiting.extend(_parents(name))
        waiting.extend(_imports(str(file), file.stat().st_mtime_ns, name))
    return found


def lock_digest(file: Path = LOCK_FILE) -> str:
    """Digest of the locked library versions, or of the installed ones where the project came without its lock file."""
    if file.is_file():
        return hashlib.sha256(file.read_bytes()).hexdigest()
    from importlib.metadata import distributions

    versions = sorted(f"{found.metadata['Name']}=={found.version}" for found in distributions())
    return hashlib.sha256("\n".join(versions).encode()).hexdigest()


def _modules(root: Path, top: str) -> Iterator[tuple[str, str]]:
    """Name and file of every module of a package."""
    for folder, _, files in os.walk(root / top):
        package = os.path.relpath(folder, root).replace(os.sep, ".")
        for file in files:
            if file.endswith(".py"):
                stem = file.removesuffix(".py")
                yield package if stem == "__init__" else f"{package}.{stem}", f"{folder}/{file}"


def _parents(name: str) -> Iterable[str]:
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts)))


@cache
def _tree(file: str, changed_ns: int) -> ast.Module:  # noqa: ARG001 - a part of the cache's key
    return ast.parse(Path(file).read_text(encoding="utf-8"), filename=file)


@cache
def _syntax_digest(file: str, changed_ns: int) -> str:
    return hashlib.sha256(ast.dump(_tree(file, changed_ns)).encode()).hexdigest()


@cache
def _imports(file: str, changed_ns: int, name: str) -> tuple[str, ...]:
    package = name if Path(file).name == "__init__.py" else name.rpartition(".")[0]
    names: list[str] = []
    for node in ast.walk(_tree(file, changed_ns)):
        if isinstance(node, ast.Import):
            names.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                base = package.split(".")[: len(package.split(".")) - node.level + 1]
                origin = ".".join([*base, origin]) if origin else ".".join(base)
            names.append(origin)
            names.extend(f"{origin}.{alias.name}" for alias in node.names)
    return tuple(found for found in names if found.split(".")[0] == PACKAGE)
