"""Who is champion: one switch at a time, whatever happens in between, and a story that can be told."""

import multiprocessing
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import mlflow
import pytest

from spanishgas.config import TrackingSettings
from spanishgas.errors import PromotionError
from spanishgas.registry import (
    CHALLENGER,
    CHAMPION,
    JUDGED_TAG,
    Champions,
    Decision,
    ModelRegistry,
    ModelVersion,
    Tracker,
    Verdict,
    same_as,
)
from spanishgas.registry.models import DIGEST_TAG

NAME = "churn"


@dataclass
class Office:
    """A registry with some versions, and a run for every decision."""

    tracker: Tracker
    experiment: str

    @property
    def client(self) -> mlflow.MlflowClient:
        return self.tracker.client

    @property
    def models(self) -> ModelRegistry:
        return ModelRegistry(self.client)

    @property
    def champion(self) -> str:
        found = self.models.with_alias(NAME, CHAMPION)
        return "" if found is None else found.version

    @property
    def challenger(self) -> str:
        found = self.models.with_alias(NAME, CHALLENGER)
        return "" if found is None else found.version

    def run(self) -> str:
        return str(self.client.create_run(self.experiment, run_name="promote").info.run_id)

    def version(self, digest: str) -> ModelVersion:
        made = self.client.create_model_version(NAME, source="file:///nowhere", tags={DIGEST_TAG: digest})
        found = self.models.with_number(NAME, str(made.version))
        assert found is not None
        return found

    def champions(
        self, client: Any = None, lock: Callable[[str], AbstractContextManager[None]] | None = None
    ) -> Champions:
        return Champions(client or self.client, lock or self.tracker._promoting)

    def decide(self, candidate: ModelVersion, **told: Any) -> Decision:
        """As a promotion does that compares with the present champion."""
        now = self.models.with_alias(NAME, CHAMPION)
        again = self.models.with_number(NAME, candidate.version)
        assert again is not None
        told = {"compared_with": "" if now is None else now.digest, "passed": True, "reason": "It is better.", **told}
        return self.champions().decide(self.run(), Verdict(again, **told))

    def rollback(self, reason: str = "", *, dry: bool = False) -> Decision:
        return self.champions().rollback(self.run(), NAME, reason, dry=dry)


@pytest.fixture
def office(tracking: TrackingSettings) -> Office:
    tracker = Tracker(tracking)
    tracker.client.create_registered_model(NAME)
    return Office(tracker, tracker.client.create_experiment("decisions"))


def test_the_first_champion_the_next_and_the_story(office: Office) -> None:
    one, two, three = (office.version(digest) for digest in "abc")
    first = office.decide(one)
    assert (first.action, first.before, first.after, office.champion) == ("promoted", "", "1", "1")
    office.decide(two, reason="PR-AUC beyond noise.")
    refused = office.decide(three, passed=False, failed=("better", "groups"), reason="Failed: better; groups.")
    assert (refused.action, refused.failed, office.champion) == ("refused", ("better", "groups"), "2")
    back = office.rollback("complaints from the call centre")
    assert (back.action, back.before, back.after, office.champion) == ("rolled back", "2", "1", "1")
    told = office.champions().history(NAME)
    assert [(one.action, one.before, one.after) for one in told] == [
        ("promoted", "", "1"),
        ("promoted", "1", "2"),
        ("refused", "2", "2"),
        ("rolled back", "2", "1"),
    ]
    assert {one.state for one in told} == {"done"}
    assert told[2].failed == ("better", "groups")
    assert "v3 is refused, v2 stays champion. Failed: better; groups." in told[2].sentence
    assert all(one.by and one.run_id for one in told)
    # The model's page and the versions' pages tell the same.
    assert "complaints" in office.client.get_registered_model(NAME).description
    tags = office.models.with_number(NAME, "3")
    assert tags is not None
    assert (tags.tags["decision"], tags.tags["decision_run"]) == ("refused", refused.run_id)


def test_a_clock_that_is_set_back_changes_neither_the_story_nor_who_comes_back(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, three = (office.version(digest) for digest in "abc")
    office.decide(one)
    office.decide(two)

    class Earlier(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) - timedelta(days=400)

    monkeypatch.setattr("spanishgas.registry.champions.datetime", Earlier)
    office.decide(three)
    back = office.rollback("the calls went up")
    told = office.champions().history(NAME)
    assert told[-1].when < told[0].when
    assert [(one.action, one.before, one.after) for one in told] == [
        ("promoted", "", "1"), ("promoted", "1", "2"), ("promoted", "2", "3"), ("rolled back", "3", "2"),
    ]  # fmt: skip
    assert (back.after, office.champion) == ("2", "2")
    late = office.decide(one, compared_with="c")
    assert f"rolled back by {back.by} in run {back.run_id}" in late.reason


def test_who_compared_with_another_champion_is_told_who_was_faster(office: Office) -> None:
    one, two, three = (office.version(digest) for digest in "abc")
    office.decide(one)
    faster = office.decide(two)
    late = office.decide(three, compared_with="a")
    assert (late.action, office.champion) == ("conflict", "2")
    assert "it is v2 now, promoted by" in late.reason
    assert faster.run_id in late.reason
    # Nor is one that was compared with nobody.
    assert office.decide(three, compared_with="").action == "conflict"


def test_force_overrules_the_gates_and_says_so(office: Office) -> None:
    one, two = (office.version(digest) for digest in "ab")
    office.decide(one)
    forced = office.decide(two, passed=False, forced=True, reason="The regulator asks for it.", failed=("better",))
    assert (forced.action, office.champion) == ("forced", "2")
    assert "overruled" in forced.sentence
    assert forced.failed == ("better",)


def test_who_passes_needs_no_force(office: Office) -> None:
    assert office.decide(office.version("a"), forced=True).action == "promoted"


def test_rollback_goes_back_one_by_one_and_then_no_further(office: Office) -> None:
    for digest in "abc":
        office.decide(office.version(digest))
    assert [office.rollback().after, office.rollback().after] == ["2", "1"]
    assert {number: tags_of(office, number)["champion_before"] for number in "12"} == {"1": "", "2": "1"}
    with pytest.raises(PromotionError, match="v1 is the first champion"):
        office.rollback()
    assert office.champion == "1"


def test_rollbacks_never_restore_what_was_itself_rolled_back(office: Office) -> None:
    one, two, three = (office.version(digest) for digest in "abc")
    for candidate in (one, two, three, one, two):
        office.decide(candidate, forced=True, passed=False)
    # Back through 1, 2, 3, 1, 2: where v2 goes, v1; where v1 goes, v3; before that nobody else.
    assert [office.rollback().after, office.rollback().after] == ["1", "3"]
    with pytest.raises(PromotionError, match="no champion before it that was not rolled back"):
        office.rollback()
    assert office.champion == "3"


def test_a_forced_return_does_not_hide_who_was_there_at_first(office: Office) -> None:
    zero, one, two = (office.version(digest) for digest in "abc")
    for candidate in (zero, one, two, one):
        office.decide(candidate, forced=True, passed=False)
    assert [office.rollback().after, office.rollback().after] == ["3", "1"]
    with pytest.raises(PromotionError, match="v1 is the first champion"):
        office.rollback()


def test_a_version_of_an_earlier_release_knows_the_champion_before_it(office: Office) -> None:
    for digest in "ab":
        office.decide(office.version(digest))
    office.client.delete_model_version_tag(NAME, "2", "champions_before")
    assert office.rollback().after == "1"


def test_a_restored_version_says_so_and_unchanged_says_nothing(office: Office) -> None:
    one, two = (office.version(digest) for digest in "ab")
    first = office.decide(one)
    assert office.decide(one, reason="again").action == "unchanged"
    assert tags_of(office, "1")["decision"] == "promoted"
    assert tags_of(office, "1")["decision_run"] == first.run_id
    office.decide(two)
    back = office.rollback("complaints")
    for number, what in (("1", "restored"), ("2", "rolled back")):
        tags = tags_of(office, number)
        assert (tags["decision"], tags["decision_reason"]) == (what, "complaints")
        assert tags["decision_run"] == back.run_id


def tags_of(office: Office, number: str) -> dict[str, str]:
    found = office.models.with_number(NAME, number)
    assert found is not None
    return dict(found.tags)


def test_a_long_reason_is_cut_to_what_every_database_takes(office: Office) -> None:
    one, two = (office.version(digest) for digest in "ab")
    office.decide(one)
    assert office.decide(two, reason="why " * 1500).state == "done"
    back = office.rollback("because " * 2000)
    assert (back.state, office.champion) == ("done", "1")
    description = office.client.get_registered_model(NAME).description
    assert len(description) <= 5000
    assert description.endswith("…")
    for number in "12":
        assert max(map(len, tags_of(office, number).values())) <= 5000
    assert tags_of(office, "2")["rolled_back"].endswith("…")
    assert max(map(len, office.client.get_run(back.run_id).data.tags.values())) <= 8000


@pytest.mark.parametrize("call", ["update_registered_model", "set_model_version_tag"])
def test_what_is_written_for_readers_stands_in_nobodys_way(office: Office, call: str) -> None:
    one, two, three = (office.version(digest) for digest in "abc")
    office.decide(one)

    class Refusing:
        """A client whose store takes no pages, such as one whose columns are too short."""

        def __getattr__(self, name: str) -> Any:
            def refuse(*arguments: Any, **named: Any) -> Any:
                if name == "update_registered_model" or str(arguments[2]).startswith("decision"):
                    raise mlflow.MlflowException("value too long")
                return getattr(office.client, name)(*arguments, **named)

            return refuse if name == call else getattr(office.client, name)

    champions = office.champions(Refusing())
    decision = champions.decide(office.run(), Verdict(two, "a", passed=True, reason="Better."))
    assert (decision.state, office.champion) == ("done", "2")
    refused = champions.decide(office.run(), Verdict(three, "b", passed=False, reason="Worse."))
    assert refused.action == "refused"
    assert champions.rollback(office.run(), NAME, "").after == "1"
    assert {one.state for one in office.champions().history(NAME)} == {"done"}


def test_a_version_that_was_deleted_after_its_rollback_blocks_nobody(office: Office) -> None:
    one, two = (office.version(digest) for digest in "ab")
    office.decide(one)
    office.decide(two)
    dying = Dying(office.client, 2, after=True)
    with pytest.raises(Killed):
        office.champions(dying).rollback(office.run(), NAME, "Worse.")
    assert office.champion == "1"
    office.client.delete_model_version(NAME, "2")
    assert office.decide(office.version("c")).action == "promoted"


def test_what_was_rolled_back_does_not_come_back_by_itself(office: Office) -> None:
    one, two = (office.version(digest) for digest in "ab")
    office.decide(one)
    office.decide(two)
    office.rollback("wrong prices")
    refused = office.decide(two)
    assert (refused.action, office.champion) == ("refused", "1")
    assert "wrong prices" in refused.reason
    assert refused.failed == ("rolled_back",)
    assert ": wrong prices. Train another" in refused.reason
    assert office.decide(two, passed=False).action == "refused"
    forced = office.decide(two, forced=True, passed=False, failed=("better",))
    assert (forced.action, forced.failed) == ("forced", ("rolled_back", "better"))
    # From then on it is a champion like any other.
    three = office.version("c")
    office.decide(three)
    assert office.rollback().after == "2"
    assert office.decide(office.version("d")).action == "promoted"


def test_without_a_champion_or_with_a_deleted_one_there_is_nothing_to_go_back_to(office: Office) -> None:
    with pytest.raises(PromotionError, match="there is no champion"):
        office.rollback()
    one, two = (office.version(digest) for digest in "ab")
    office.decide(one)
    office.decide(two)
    office.client.delete_model_version(NAME, one.version)
    with pytest.raises(PromotionError, match="no longer registered"):
        office.rollback()
    assert office.champion == "2"


def test_a_dry_run_changes_nothing_and_stands_in_no_history(office: Office) -> None:
    one, two = (office.version(digest) for digest in "ab")
    office.decide(one)
    before = office.client.get_registered_model(NAME).description
    run = office.run()
    told = office.champions().foretell(run, Verdict(two, "a", passed=True, reason="Better."))
    assert told.state == "dry run"
    assert "nothing was changed; would be: v2 is champion" in told.sentence
    assert office.client.get_run(run).data.tags["decision.action"] == "promoted"
    office.decide(two)
    assert office.rollback(dry=True).state == "dry run"
    assert office.champion == "2"
    assert [one.after for one in office.champions().history(NAME)] == ["1", "2"]
    assert office.client.get_registered_model(NAME).description != before


def test_the_champion_itself_is_nothing_to_decide(office: Office) -> None:
    one = office.version("a")
    office.decide(one)
    assert (office.decide(one).action, office.champion) == ("unchanged", "1")
    # The same files under a new number are the same model.
    assert office.decide(office.version("a")).action == "unchanged"


class Killed(BaseException):
    """Ends a process at a call to the store."""


class Dying:
    """A client whose process dies right before or right after its n-th write."""

    WRITES = (
        "log_batch",
        "set_registered_model_alias",
        "set_model_version_tag",
        "update_registered_model",
        "set_tag",
        "delete_registered_model_alias",
    )

    def __init__(self, client: mlflow.MlflowClient, at: int, *, after: bool) -> None:
        self._client, self._at, self._after, self.writes = client, at, after, 0

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if name not in self.WRITES:
            return call

        def write(*args: Any, **kwargs: Any) -> Any:
            self.writes += 1
            if self.writes == self._at and not self._after:
                raise Killed
            result = call(*args, **kwargs)
            if self.writes == self._at:
                raise Killed
            return result

        return write


@pytest.mark.drill
@pytest.mark.parametrize("action", ["promote", "rollback"])
def test_killed_at_any_point_the_old_or_the_new_one_is_champion(office: Office, action: str) -> None:
    for digest in "ab":
        office.decide(office.version(digest))
    at, after, ends = 0, True, set()
    while True:
        at, after = (at + 1, False) if after else (at, True)
        old = office.models.with_alias(NAME, CHAMPION)
        assert old is not None
        candidate = office.version(f"candidate {at} {after}")
        dying = Dying(office.client, at, after=after)
        champions, run = office.champions(dying), office.run()
        office.models.point(NAME, CHALLENGER, candidate if action == "promote" else old)
        try:
            if action == "promote":
                champions.decide(run, Verdict(candidate, old.digest, passed=True, reason="Better."))
            else:
                champions.rollback(run, NAME, "Worse.")
        except Killed:
            died = True
        else:
            died = False
        wanted = candidate.version if action == "promote" else old.tags["champion_before"]
        now = office.champion
        assert now in (old.version, wanted)
        # Whoever comes next settles it: the record says what the alias says.
        office.decide(office.version(f"next {at} {after}"), passed=False)
        assert office.challenger != office.champion
        told = {one.run_id: one for one in office.champions().history(NAME)}
        assert all(one.state in ("done", "undone") for one in told.values())
        if run in told:
            assert told[run].state == ("done" if now == wanted else "undone")
            ends.add(told[run].state)
        else:
            assert now == old.version
            ends.add("nothing written")
        if now == wanted and action == "promote":
            found = office.models.with_number(NAME, wanted)
            assert found is not None
            assert found.tags["champion_before"] == old.version
            assert found.tags["decision_run"] == run
        if now == wanted and action == "rollback":
            # So that the next round has someone to go back to.
            office.decide(office.version(f"again {at} {after}"))
        if not died:
            break
    assert ends == {"done", "undone", "nothing written"}
    assert at > 5


def test_who_became_champion_challenges_nobody(office: Office) -> None:
    one, two, three = (office.version(digest) for digest in "abc")
    office.champions().challenge(one)
    assert office.challenger == "1"
    office.decide(one)
    assert (office.champion, office.challenger) == ("1", "")
    # The champion trained again, or the same files under a new number, challenge nobody either.
    office.champions().challenge(one)
    office.champions().challenge(office.version("a"))
    assert office.challenger == ""
    # Who is refused stays challenger; who is promoted past another leaves it the alias.
    office.champions().challenge(two)
    office.decide(two, passed=False)
    assert office.challenger == "2"
    office.decide(three)
    assert (office.champion, office.challenger) == ("3", "2")
    office.decide(two, passed=False, forced=True)
    office.rollback()
    assert (office.champion, office.challenger) == ("3", "")


def test_who_was_judged_in_the_champions_place_challenges_nobody(office: Office) -> None:
    judged, other = office.version("judged"), office.version("other")
    office.client.create_model_version(
        NAME, source="file:///nowhere", tags={DIGEST_TAG: "refit", JUDGED_TAG: judged.digest}
    )
    used = office.models.with_number(NAME, "3")
    assert used is not None
    office.champions().challenge(judged)
    office.decide(used)
    assert (office.champion, office.challenger) == ("3", "")
    # Trained again on the same rows, it is found and challenges nobody; another one does.
    office.champions().challenge(judged)
    assert office.challenger == ""
    office.champions().challenge(other)
    assert office.challenger == other.version
    assert (same_as(used), same_as(judged)) == (("refit", "judged"), ("judged",))


def test_a_store_of_an_earlier_release_is_put_right_by_the_next_decision(office: Office) -> None:
    one = office.version("a")
    office.decide(one)
    office.models.point(NAME, CHALLENGER, one)
    assert office.decide(one).action == "unchanged"
    assert (office.champion, office.challenger) == ("1", "")


@pytest.mark.parametrize("before", [True, False], ids=["promoted before the alias is set", "promoted after"])
def test_whoever_is_made_champion_while_he_becomes_challenger_ends_without_the_alias(
    office: Office, before: bool
) -> None:
    version = office.version("a")

    class Busy:
        """A client beside which another promotes at the moment at which the alias is set."""

        def __getattr__(self, name: str) -> Any:
            call = getattr(office.client, name)

            def promoting(*arguments: Any) -> Any:
                if before:
                    office.decide(version)
                call(*arguments)
                if not before:
                    office.decide(version)

            return promoting if name == "set_registered_model_alias" else call

    office.champions(Busy()).challenge(version)
    assert (office.champion, office.challenger) == ("1", "")


@pytest.mark.drill
def test_twenty_at_once_end_in_one_champion_and_twenty_explained_outcomes(office: Office) -> None:
    office.decide(office.version("a"))
    candidates = [office.version(f"candidate {number}") for number in range(20)]
    runs = [office.run() for _ in candidates]
    found: list[Decision] = []
    barrier = threading.Barrier(20)

    def promote(candidate: ModelVersion, run: str) -> None:
        own = Tracker(office.tracker._settings)
        barrier.wait()
        found.append(
            Champions(own.client, own._promoting).decide(
                run, Verdict(candidate, "a", passed=True, reason=f"{candidate.version} is better.")
            )
        )

    threads = [threading.Thread(target=promote, args=pair) for pair in zip(candidates, runs, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.action for one in found) == ["conflict"] * 19 + ["promoted"]
    (winner,) = (one for one in found if one.action == "promoted")
    assert office.champion == winner.after
    assert all(winner.run_id in one.reason for one in found if one.action == "conflict")
    told = office.champions().history(NAME)
    assert {one.run_id for one in told} >= set(runs)
    assert len(told) == 21


def _promote_or_force(tracking: TrackingSettings, number: int, results: "multiprocessing.Queue[Any]") -> None:
    """One process from its start to its decision, as the stage does it."""
    try:
        with Tracker(tracking).run("promote", tags={"stage": "promote"}) as run:
            candidate = run.models.with_number(NAME, str(number))
            assert candidate is not None
            forced = number % 2 == 0
            verdict = Verdict(candidate, "a", passed=not forced, reason="Why.", failed=("better",), forced=forced)
            results.put((run.id, run.champions.decide(run.id, verdict).action))
    except Exception as error:
        results.put(("", f"{error}"))


@pytest.mark.drill
def test_six_processes_at_once_end_in_one_champion_and_six_explained_outcomes(office: Office) -> None:
    office.decide(office.version("a"))
    numbers = [int(office.version(f"candidate {number}").version) for number in range(6)]
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [
        context.Process(target=_promote_or_force, args=(office.tracker._settings, number, results))
        for number in numbers
    ]
    for process in processes:
        process.start()
    found = [results.get(timeout=300) for _ in processes]
    for process in processes:
        process.join()
    actions = sorted(action for _, action in found)
    assert actions[:5] == ["conflict"] * 5
    assert actions[5] in ("forced", "promoted")
    told = {one.run_id: one for one in office.champions().history(NAME)}
    (winner,) = (run for run, action in found if action != "conflict")
    assert office.champion == told[winner].after
    assert all(winner in told[run].reason for run, action in found if action == "conflict")


def test_without_the_lock_two_could_win(office: Office) -> None:
    """That the test above can fail: two promoters that both looked before either switched."""
    office.decide(office.version("a"))
    one, two = office.version("b"), office.version("c")
    barrier = threading.Barrier(2)

    class Slow(ModelRegistry):
        def with_alias(self, name: str, alias: str) -> ModelVersion | None:
            found = super().with_alias(name, alias)
            barrier.wait()
            return found

    found = []

    def promote(candidate: ModelVersion, run: str) -> None:
        champions = office.champions(lock=lambda _: nullcontext())
        champions._models = Slow(office.client)
        found.append(champions.decide(run, Verdict(candidate, "a", passed=True, reason="Better.")).action)

    threads = [threading.Thread(target=promote, args=(one, office.run())) for one in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["promoted", "promoted"]
