"""A plugin of pytest that notes which tests pass by which probe, and what each test costs."""

import builtins
import json
import os
import resource
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

PLACES = "SEEDED_REACHED"
_hits: dict[str, set[int]] = defaultdict(set)
_now = ["import"]


def _hit(number: int) -> None:
    _hits[_now[-1]].add(number)


if PLACES in os.environ:
    builtins._hit = _hit  # type: ignore[attr-defined]


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _name(fixture: Any) -> str:
    return f"{fixture.baseid}::{fixture.argname}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: Any) -> Generator[None, Any, Any]:
    """What a fixture passes by counts for every test that asks for it, not for the first alone."""
    if fixturedef.scope == "function":
        return (yield)
    _now.append(_name(fixturedef))
    before = _cpu()
    try:
        return (yield)
    finally:
        _now.pop()
        _write({"fixture": _name(fixturedef), "seconds": _cpu() - before})


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """One line per test."""
    _now.append(item.nodeid)
    before = _cpu()
    _failed[item.nodeid] = False
    item.stash[_FIXTURES] = []
    try:
        return (yield)
    finally:
        _now.pop()
        _write(
            {
                "test": item.nodeid,
                "seconds": round(_cpu() - before, 3),
                "hits": sorted(_hits[item.nodeid]),
                "fixtures": item.stash[_FIXTURES],
                "failed": _failed.pop(item.nodeid),
            }
        )


_FIXTURES = pytest.StashKey[list[str]]()
_failed: dict[str, bool] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """All its fixtures are there by now, also those that a fixture asked for by name."""
    known = getattr(getattr(item, "_request", None), "_fixture_defs", {})
    item.stash[_FIXTURES] = sorted({_name(one) for one in known.values() if one.scope != "function"})
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A test that fails without a fault cannot tell one."""
    if report.nodeid in _failed:
        _failed[report.nodeid] |= report.failed


def pytest_sessionfinish() -> None:
    """What was passed by at import and in fixtures."""
    for name, found in _hits.items():
        _write({"place": name, "hits": sorted(found)})


def _write(record: dict[str, Any]) -> None:
    if PLACES in os.environ:
        with Path(os.environ[PLACES]).open("a") as out:
            out.write(json.dumps(record) + "\n")
