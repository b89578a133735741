"""The three ways in which settings arrive."""

import pytest

from pipelines._arguments import Arguments, read_arguments
from spanishgas.errors import ConfigError


@pytest.mark.parametrize(
    ("argv", "overrides"),
    [
        ([], ()),
        (["model=xgboost", "model.max_depth=4"], ("model=xgboost", "model.max_depth=4")),
        (["--model", "xgboost", "--model.max_depth", "4"], ("model=xgboost", "model.max_depth=4")),
        (["--model=xgboost"], ("model=xgboost",)),
        (["--run-date", "2026-02-09"], ("run_date=2026-02-09",)),
        (["--overrides", "model=xgboost experiment=wide"], ("model=xgboost", "experiment=wide")),
        (["--overrides", ""], ()),
        (["--overrides", "", "--as_of", "2026-01-31"], ("as_of=2026-01-31",)),
        (["--overrides", "note='two words' as_of=[2026-01-31,2025-12-31]"],
         ("note=two words", "as_of=[2026-01-31,2025-12-31]")),
        (["--shift", "-5"], ("shift=-5",)),
        (["~experiment"], ("~experiment",)),
        (["--asof-date", "2026-01-31"], ("as_of=2026-01-31",)),
        (["asof_date=[2026-01-31,2025-12-31]"], ("as_of=[2026-01-31,2025-12-31]",)),
        (["--overrides", "asof_date=2026-01-31 as_of=2026-01-31"], ("as_of=2026-01-31", "as_of=2026-01-31")),
    ],
)  # fmt: skip
def test_every_way_gives_the_same_overrides(argv: list[str], overrides: tuple[str, ...]) -> None:
    assert read_arguments(argv) == Arguments(overrides)


def test_flags_are_told_from_settings() -> None:
    assert read_arguments(["-m", "model.max_depth=3,4"]) == Arguments(("model.max_depth=3,4",), multirun=True)
    assert read_arguments(["--cfg"]) == Arguments((), show=True)
    assert read_arguments(["--help"]) == Arguments((), help=True)
    # MLflow passes all that stands in `-P overrides=...` as one text.
    together = read_arguments(["--overrides", "-m run_date=2025-12-31,2026-01-31 data=demo"])
    assert together == Arguments(("run_date=2025-12-31,2026-01-31", "data=demo"), multirun=True)


@pytest.mark.parametrize(
    "argv",
    [
        ["--config-dir", "a", "-cd=b"],
        ["--config-dir=a", "--config_dir", "b"],
        ["--overrides", "config_dir=a config_dir=b"],
    ],
)
def test_folders_of_options_are_no_settings(argv: list[str]) -> None:
    assert read_arguments([*argv, "data=mine"]) == Arguments(("data=mine",), config_dirs=("a", "b"))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--model"], "has no value"),
        (["xgboost"], "is not a setting"),
        (["--asof-date", "2026-01-31", "as_of=2025-12-31"], "another name of as_of"),
        (["--config-name", "other"], "flag of Hydra's"),
        (["--info=defaults"], "flag of Hydra's"),
    ],
)
def test_what_is_no_setting_is_a_clear_error(argv: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_arguments(argv)
