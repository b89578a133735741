"""The code that travels with a registered model: what its loader imports, under a package name of its own."""

import ast
import hashlib
from pathlib import Path

from spanishgas.engine.fingerprint import PACKAGE, PACKAGE_ROOT, import_closure

DIGITS = 8


def carry_code(loader: str, folder: Path, *, root: Path = PACKAGE_ROOT) -> Path:
    """Copies what a loader can import into a package that hides nothing and that nothing hides.

    MLflow puts a model's code first on the import path. Under the project's own name it would hide the project in a
    notebook, or be hidden by it, and of two versions in one process the second would run the first one's code. So the
    package is named after a digest of what is in it, and imports inside it are of that name.

    Args:
        loader: ``module:function`` of this project.
        folder: Where to put the package.
        root: Folder that holds the project.

    Returns:
        The package's folder, which has its name.

    Raises:
        ConfigError: There is no such module.
    """
    module = loader.partition(":")[0]
    texts = {
        file.relative_to(root / PACKAGE): file.read_text(encoding="utf-8")
        for file in import_closure(module, root=root).values()
    }
    digest = hashlib.sha256()
    for path in sorted(texts):
        digest.update(f"{path.as_posix()}\n{texts[path]}".encode())
    package = folder / f"{PACKAGE}_model_{digest.hexdigest()[:DIGITS]}"
    for path, text in texts.items():
        target = package / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_renamed(text, package.name), encoding="utf-8")
    return package


def _renamed(text: str, package: str) -> str:
    """A module's text with its imports of this project from another package; strings and comments stay."""
    lines = text.splitlines(keepends=True)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            lines[node.lineno - 1] = lines[node.lineno - 1].replace(f"from {PACKAGE}", f"from {package}", 1)
    return "".join(lines)
