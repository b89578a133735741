"""The notebooks, as files: whole, run to their end, small, and of no one machine."""

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "docs" / "notebooks").glob("*.ipynb"))
MAX_BYTES = 60_000


@pytest.fixture(params=NOTEBOOKS, ids=lambda file: file.name)
def notebook(request: pytest.FixtureRequest) -> dict[str, Any]:
    assert request.param.stat().st_size < MAX_BYTES
    return json.loads(request.param.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def test_its_outputs_are_of_one_run_without_errors(notebook: dict[str, Any]) -> None:
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1)), "run `make notebook`"
    outputs = [output for cell in code for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "execute_result"}
    assert {output["name"] for output in outputs if output["output_type"] == "stream"} <= {"stdout"}


def test_it_tells_nothing_of_the_machine_it_ran_on(notebook: dict[str, Any]) -> None:
    text = json.dumps(notebook)
    for word in ("/home/", "/tmp", "/root", "/work", "Users", str(Path.home())):
        assert word not in text, word
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
