"""The documents are true: what declarations can tell is made from them, links lead somewhere, commands can be given."""

import importlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipelines._arguments import read_arguments
from pipelines._entry import expand_sweep, load_settings
from pipelines._pages import blocks_of, blocks_of_index, fill
from spanishgas import __version__
from spanishgas.config import Settings
from spanishgas.config.dictionary import describe
from spanishgas.errors import ConfigError
from spanishgas.stages.catalog import STAGES
from spanishgas.stages.pages import EVERYWHERE, PAGES
from tests.benchmarks.harness import case_modules

ROOT = Path(__file__).resolve().parents[1]
PAGES_FOLDER = ROOT / "docs" / "stages"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# Settings that only tell other commands what to do, or that data sets give for themselves.
ELSEWHERE = ("data.run_date",)


@pytest.fixture(scope="module")
def composed() -> Settings:
    return load_settings(())


def test_every_stage_has_a_page_and_the_index_names_all() -> None:
    names = {*(stage.name for stage in STAGES), "run_pipeline", "onboard"}
    assert {file.stem for file in PAGES_FOLDER.glob("*.md")} == set(PAGES) == names
    index = (ROOT / "docs" / "stages.md").read_text()
    assert set(re.findall(r"^\| \[(\w+)\]\(stages/\1\.md\)", index, re.MULTILINE)) == names


def test_pages_are_made_from_the_declarations(composed: Settings) -> None:
    for name in PAGES:
        text = (PAGES_FOLDER / f"{name}.md").read_text()
        assert text == fill(text, blocks_of(name, composed)), f"{name}: run `make dictionary`"
        assert "<!-- settings:" in text
    index = (ROOT / "docs" / "stages.md").read_text()
    assert index == fill(index, blocks_of_index(composed)), "run `make dictionary`"


def test_every_setting_is_explained_and_stands_on_a_page(composed: Settings) -> None:
    all_settings = describe(composed)
    assert [one.name for one in all_settings if not one.meaning] == []
    told = {
        one.name
        for wanted in (*EVERYWHERE, *(name for page in PAGES.values() for name in page.settings))
        for one in describe(composed, wanted)
    }
    assert {one.name for one in all_settings} - told - set(ELSEWHERE) == set()


def test_a_page_has_the_groups_of_settings_that_its_stage_reads() -> None:
    everywhere = {name.split(".")[0] for name in EVERYWHERE} | {"model_copy", "model_dump"}
    for stage in STAGES:
        source = (ROOT / "spanishgas" / "stages" / f"{stage.name}.py").read_text()
        read = set(re.findall(r"\bsettings\.([a-z_]+)", source)) - everywhere
        known = {name for name in read if name in Settings.model_fields}
        told = {name.split(".")[0] for name in PAGES[stage.name].settings}
        assert known - told <= {"data"} | CHOSEN_BY_OTHERS.get(stage.name, set()), stage.name


# Read to hand on, or to look something up: its own page tells of it.
CHOSEN_BY_OTHERS = {
    "training_set": {"as_of"},
    "train": {"features"},
    "segment": {"features"},
    "promote": {"features", "labels"},
    "drift": {"features"},
    "simulate": {"labels"},
    "retention": {"labels", "policy"},
    "response": {"policy"},
    "replay": {"run_date", "promotion"},
}


def anchors(file: Path) -> set[str]:
    """Anchors that GitHub makes of a document's headings."""
    text = re.sub(r"```.*?```", "", file.read_text(), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.replace("`", "").lower()).replace(" ", "-") for title in titles}


def test_links_lead_somewhere() -> None:
    broken = []
    for document in DOCUMENTS:
        text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = (document.parent / path).resolve() if path else document
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{document.relative_to(ROOT)}: {link}")
    assert broken == []


def test_paths_that_are_named_are_there() -> None:
    """Documents name files of the project; data, runs and placeholders are not of it."""
    known = ("spanishgas/", "pipelines/", "conf/", "tests/", "docs/", ".ci/", ".github/")
    missing = [
        f"{document.relative_to(ROOT)}: {name}"
        for document in DOCUMENTS
        for name in re.findall(r"`([\w./-]+)`", document.read_text())
        if name.startswith(known) and not (ROOT / name).exists()
    ]
    assert missing == []


def commands() -> list[tuple[str, str]]:
    """Lines of all blocks of code: document and command, without comments and prompts."""
    found = []
    for document in DOCUMENTS:
        for block in re.findall(r"```[a-z]*\n(.*?)```", document.read_text(), re.DOTALL):
            lines = block.replace("\\\n", " ").splitlines()
            found += [(str(document.relative_to(ROOT)), line.strip()) for line in lines]
    return found


def settings_of(words: list[str]) -> tuple[str, tuple[str, ...]] | None:
    """Entry point and overrides of a command that runs a stage; None for any other."""
    if words[:2] == ["mlflow", "run"]:
        name = words[words.index("-e") + 1] if "-e" in words else "run_pipeline"
        given = [words[place + 1] for place, word in enumerate(words) if word == "-P"]
        split = [part for one in given for part in (
            shlex.split(one.removeprefix("overrides=")) if one.startswith("overrides=") else [one]
        )]  # fmt: skip
        return name, tuple(split)
    if words[:2] == ["python", "-m"] and words[2].startswith("pipelines."):
        return words[2].removeprefix("pipelines."), tuple(words[3:])
    return None


@pytest.mark.drill
def test_commands_name_what_there_is() -> None:
    points = set(yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"])
    points |= {"run_pipeline", "_pages", "explain_customer", "lineage"}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wrong, tried = [], {}
    for document, line in commands():
        if line.startswith("make "):
            target = line.split()[1]
            if target not in targets:
                wrong.append(f"{document}: {line}")
        if not line.startswith(("python -m pipelines.", "mlflow run ")) or "..." in line:
            continue
        called = settings_of(shlex.split(re.split(r" (?:\|\||&&|>|;) ", line)[0], comments=True))
        assert called is not None
        name, overrides = called
        if name not in points:
            wrong.append(f"{document}: {line}")
        if name in ("_pages", "lineage", "backup", "restore", "explain_customer"):  # their words are no settings
            continue
        arguments = read_arguments(list(overrides), name)
        for one in expand_sweep(arguments.overrides) if arguments.multirun else [arguments.overrides]:
            key = tuple(one)
            if key not in tried:
                try:
                    load_settings(key)
                    tried[key] = ""
                except ConfigError as error:
                    tried[key] = str(error)
            if tried[key]:
                wrong.append(f"{document}: {line}: {tried[key]}")
    assert wrong == []
    assert len(tried) > 60


def test_benchmarks_that_are_named_are_there() -> None:
    texts = "\n".join(document.read_text() for document in DOCUMENTS)
    assert set(re.findall(r"make bench CASE=(\w+)", texts)) - {"name", "serving", "growth"} <= set(case_modules())


def test_modules_that_are_called_are_there() -> None:
    called = {match for _, line in commands() for match in re.findall(r"python -m (spanishgas[\w.]*)", line)}
    for name in called:
        importlib.import_module(f"{name}.__main__")


def test_error_messages_on_pages_are_those_of_the_code() -> None:
    source = "\n".join(
        file.read_text() for folder in ("spanishgas", "pipelines") for file in (ROOT / folder).rglob("*.py")
    )
    told = re.sub(r'"\s*\n\s*f?"', "", source)
    lost = []
    for file in sorted(PAGES_FOLDER.glob("*.md")):
        table = file.read_text().partition("## Errors")[2].partition("## How")[0]
        for line in re.findall(r"^\| (?!message|---)(.*?) \| (.*?) \|", table, re.MULTILINE):
            parts = [part.strip() for part in line[0].split("…")]
            lost += [f"{file.stem}: {part}" for part in parts if part and part != "(none)" and part not in told]
            assert line[1] in {"1", "2", "75", "as the step", "`exit_code`"}, file.stem
    assert lost == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


def test_news_become_the_changelog(tmp_path: Path) -> None:
    versioned = ("pyproject.toml", "spanishgas/__init__.py", "Dockerfile", "Dockerfile.train")
    (tmp_path / "spanishgas").mkdir()
    for name in (*versioned, "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "docs" / "changes", tmp_path / "docs" / "changes")
    (tmp_path / "docs" / "changes" / "one.md").write_text("First line\nof one.\n\nAnother.\n")
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")

    def release(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, tmp_path / ".ci" / "changelog", *words], capture_output=True, text=True)

    assert "not later" in release("0.0.1", "2026-03-01").stderr
    assert release("99.0.0", "2026-03-01").returncode == 0
    text = (tmp_path / "CHANGELOG.md").read_text()
    assert text.startswith("# Changelog\n")
    assert "## 99.0.0, 2026-03-01\n\n- " in text
    assert "- First line\n  of one.\n- Another.\n" in text
    assert [file.name for file in (tmp_path / "docs" / "changes").iterdir()] == ["README.md"]
    for name in versioned:
        assert (tmp_path / name).read_text() == (ROOT / name).read_text().replace(__version__, "99.0.0", 1)
    assert "no news" in release("99.0.1", "2026-03-02").stderr
    (tmp_path / "docs" / "changes" / "two.md").write_text("Later.\n")
    assert release("99.0.1", "2026-03-02").returncode == 0
    later = (tmp_path / "CHANGELOG.md").read_text()
    assert later.index("99.0.1") < later.index("- Later.") < later.index("99.0.0")
    assert later.count("# Changelog\n") == 1
