"""Who decides: the alias ``champion``, moved by one at a time, with a record that is written before it moves.

A decision is a run of the ``promote`` stage; its record is that run's tags. The record is written as ``prepared``, then
the alias moves, which is one write of one row, then the record is ``done``. Whoever comes next under the lock settles
what a killed process left: the alias tells whether the decision took effect. What is written for readers only, pages
and tags of versions, never stands in the way of a decision.
"""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from spanishgas.errors import PromotionError
from spanishgas.registry.limits import MAX_DESCRIPTION, MAX_TAG, MAX_VERSION_TAG, shorten
from spanishgas.registry.models import ModelRegistry, ModelVersion
from spanishgas.registry.processes import user_name

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
# Who wants to become champion: what was trained last. Nobody, where that is the champion.
CHALLENGER = "challenger"
PREFIX = "decision."
# On a version: the champion before it; empty for the first.
BEFORE_TAG = "champion_before"
# On a version: all champions before it, oldest first, that rollbacks go back to one by one.
STACK_TAG = "champions_before"
MAX_STACK = 500
ROLLED_BACK = "rolled_back"
# On a version that was rolled back: by whom, when and why. It does not come back by itself.
ROLLED_BACK_TAG = "rolled_back"
# On a refit: digest and number of the version that was judged in its place.
JUDGED_TAG, JUDGED_VERSION_TAG = "judged_digest", "judged_version"
# On every version: the youngest row that it learned from.
LEARNED_TAG = "learned_until"
PAGE = 500

Action = Literal["promoted", "forced", "rolled back", "refused", "conflict", "unchanged"]
State = Literal["prepared", "done", "undone", "dry run"]
PAST = {"promoted": "replaced", "forced": "replaced by force", "rolled back": "rolled back"}
SWITCHES: tuple[Action, ...] = ("promoted", "forced", "rolled back")


@dataclass(frozen=True)
class Decision:
    """What was decided on one model.

    Attributes:
        model: Registered model.
        action: What was decided.
        state: ``prepared`` until it took effect; ``undone`` where the process died before; ``dry run`` where nothing
            was to take effect.
        when: UTC, ISO 8601.
        by: Who.
        candidate: Version that was to become champion.
        before: Champion's version before; empty for none.
        after: Champion's version after.
        reason: Why, in words.
        failed: Gates that were not passed.
        run_id: The run that decided.
        place: How many decisions on the model there were before, in six digits: a clock may have been set back. Empty
            in what earlier releases decided.
    """

    model: str
    action: Action
    state: State
    when: str
    by: str
    candidate: str
    before: str
    after: str
    reason: str
    failed: tuple[str, ...] = ()
    run_id: str = ""
    place: str = ""

    @property
    def tags(self) -> dict[str, str]:
        """As tags of the run that decided."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("run_id", "failed")}
        return {
            **{PREFIX + name: shorten(str(value), MAX_TAG) for name, value in fields.items()},
            f"{PREFIX}failed": shorten(", ".join(self.failed), MAX_TAG),
        }

    @classmethod
    def of(cls, run_id: str, tags: Mapping[str, str]) -> "Decision":
        """What ``tags`` wrote."""
        values: dict[str, Any] = {
            name: tags.get(PREFIX + name, "") for name in cls.__dataclass_fields__ if name not in ("run_id", "failed")
        }
        failed = tuple(filter(None, tags.get(f"{PREFIX}failed", "").split(", ")))
        return cls(**values, failed=failed, run_id=run_id)

    @property
    def minute(self) -> str:
        """When, for readers."""
        return f"{self.when[:16].replace('T', ' ')} UTC"

    @property
    def sentence(self) -> str:
        """What happened, for a terminal."""
        held = f"v{self.before} stays champion" if self.before else "there is still no champion"
        came = f"v{self.after} is champion" + (f", v{self.before} was" if self.before else ", the first one")
        went = {
            "promoted": came,
            "forced": f"{came}; the gates were overruled",
            "rolled back": f"rolled back: v{self.after} is champion again, v{self.before} was",
            "refused": f"v{self.candidate} is refused, {held}",
            "conflict": f"v{self.candidate} is not promoted, {held}",
            "unchanged": f"v{self.candidate} is champion already",
        }[self.action]
        if self.state == "dry run":
            went = f"dry run, nothing was changed; would be: {went}"
        if self.state == "prepared":
            went = f"begun and not finished: {went}"
        if self.state == "undone":
            went = f"undone, its process died before: {went}"
        return f"{went}. {self.reason}"


@dataclass(frozen=True)
class Verdict:
    """What a comparison says of a candidate.

    Attributes:
        candidate: The version that wants to become champion.
        compared_with: Digest of the champion that it was compared with; empty where there was none.
        passed: Whether all gates were passed.
        reason: Why, in words.
        failed: Gates that were not passed.
        forced: Whether the gates are overruled.
    """

    candidate: ModelVersion
    compared_with: str
    passed: bool
    reason: str
    failed: tuple[str, ...] = ()
    forced: bool = False


class Champions:
    """Decisions on who is champion.

    Args:
        client: Client of the tracking store.
        lock: Holds a named lock that all who share the store share.
    """

    def __init__(self, client: "MlflowClient", lock: Callable[[str], AbstractContextManager[None]]) -> None:
        self._client = client
        self._lock = lock
        self._models = ModelRegistry(client)

    def decide(self, run_id: str, verdict: Verdict) -> Decision:
        """Makes the candidate champion, or writes down why not.

        The champion must still be the one that the candidate was compared with; else nothing changes.

        Args:
            run_id: The run that decides; its tags hold the record.
            verdict: What the comparison said.

        Raises:
            TrackingError: The lock cannot be had.
        """
        name = verdict.candidate.name
        with self._exclusive(name):
            champion = self._models.with_alias(name, CHAMPION)
            decision = self._judged(run_id, verdict, champion)
            if decision.action in SWITCHES:
                self._switch(decision)
                return replace(decision, state="done")
            self._write(decision)
            if decision.action != "unchanged":  # nothing was decided: the champion's page tells how it came to be
                with _for_readers():
                    self._tag_version(decision, decision.candidate, decision.action)
            return decision

    def foretell(self, run_id: str, verdict: Verdict) -> Decision:
        """What ``decide`` would do; only the run's own record is written."""
        champion = self._models.with_alias(verdict.candidate.name, CHAMPION)
        decision = replace(self._judged(run_id, verdict, champion), state="dry run")
        self._write(decision)
        return decision

    def rollback(self, run_id: str, name: str, reason: str, *, dry: bool = False) -> Decision:
        """Makes the champion before the present one champion again.

        Args:
            run_id: The run that decides.
            name: Registered model.
            reason: Why, in words.
            dry: Only say what would happen.

        Raises:
            PromotionError: There is no champion, none before it, or that one is gone.
            TrackingError: The lock cannot be had.
        """
        with self._exclusive(name):
            champion = self._models.with_alias(name, CHAMPION)
            if champion is None:
                raise PromotionError("there is no champion", where=name, todo="Run `promote` first")
            number = self._one_before(champion)
            if self._models.with_number(name, number) is None:
                raise PromotionError(
                    f"v{number}, the champion before v{champion.version}, is no longer registered",
                    where=name,
                    todo="Train it again, or name another version with promotion.candidate=VERSION",
                )
            decision = self._new(
                run_id, name, "rolled back", number, champion.version, number, reason or "No reason was given."
            )
            if dry:
                decision = replace(decision, state="dry run")
                self._write(decision)
                return decision
            self._switch(decision)
            return replace(decision, state="done")

    def _one_before(self, champion: ModelVersion) -> str:
        """The last champion before this one that was not itself rolled back since."""
        stack = _stack(champion)
        for number in reversed(stack):
            found = self._models.with_number(champion.name, number)
            if number != champion.version and (found is None or not found.tags.get(ROLLED_BACK_TAG)):
                return number
        held = f"v{champion.version} "
        raise PromotionError(
            held
            + ("has no champion before it that was not rolled back" if stack else "is the first champion")
            + ": there is none to go back to",
            where=champion.name,
            todo="See `promote action=history`; promotion.candidate=VERSION names any other version",
        )

    def challenge(self, version: ModelVersion) -> None:
        """Makes a version the challenger, unless it is champion: then nobody challenges it.

        Takes no lock. Whoever makes the version champion at the same moment writes the champion's alias first and then
        looks at the challenger's, and here it is the other way round: one of both sees the other.
        """
        self._models.point(version.name, CHALLENGER, version)
        self._retire_challenger(version.name)

    def _retire_challenger(self, name: str) -> None:
        """Takes the challenger's alias from whoever is champion."""
        challenger, champion = (self._models.with_alias(name, alias) for alias in (CHALLENGER, CHAMPION))
        if challenger is None or champion is None:
            return
        # The version that was judged in the champion's place has nothing left to win.
        if challenger.version == champion.version or challenger.digest in same_as(champion):
            self._client.delete_registered_model_alias(name, CHALLENGER)

    def history(self, name: str) -> list[Decision]:
        """All decisions on a model, oldest first; dry runs decided nothing and are left out."""
        found = self._decisions(f"tags.`{PREFIX}model` = '{name}'")
        return sorted((one for one in found if one.state != "dry run"), key=lambda one: (one.place, one.when))

    @contextmanager
    def _exclusive(self, name: str) -> Iterator[None]:
        with self._lock(name):
            self._settle(name)
            self._retire_challenger(name)
            yield

    def _judged(self, run_id: str, verdict: Verdict, champion: ModelVersion | None) -> Decision:
        candidate = verdict.candidate
        before = "" if champion is None else champion.version
        if champion is not None and champion.digest == candidate.digest:
            reason = "Nothing to decide."
            return self._new(run_id, candidate.name, "unchanged", champion.version, before, before, reason)
        if ("" if champion is None else champion.digest) != verdict.compared_with:
            reason = self._faster(candidate.name, champion)
            return self._new(run_id, candidate.name, "conflict", candidate.version, before, before, reason)
        away = candidate.tags.get(ROLLED_BACK_TAG, "")
        if (verdict.passed and not away) or verdict.forced:
            action: Action = "promoted" if verdict.passed and not away else "forced"
            return self._new(
                run_id,
                candidate.name,
                action,
                candidate.version,
                before,
                candidate.version,
                verdict.reason,
                (ROLLED_BACK, *verdict.failed) if away else verdict.failed,
            )
        reason, failed = verdict.reason, verdict.failed
        if away:
            told = f"It was rolled back {away.rstrip('.')}."
            reason = f"{told} Train another, or overrule that with promotion.mode=force. {reason}"
            failed = (ROLLED_BACK, *failed)
        return self._new(run_id, candidate.name, "refused", candidate.version, before, before, reason, failed)

    def _new(
        self,
        run_id: str,
        name: str,
        action: Action,
        candidate: str,
        before: str,
        after: str,
        reason: str,
        failed: Sequence[str] = (),
    ) -> Decision:
        state: State = "prepared" if action in SWITCHES else "done"
        when = datetime.now(UTC).isoformat(timespec="microseconds")
        place = f"{len(self.history(name)):06d}"
        return Decision(
            name, action, state, when, user_name(), candidate, before, after, reason, tuple(failed), run_id, place
        )

    def _faster(self, name: str, champion: ModelVersion | None) -> str:
        """Who changed the champion while the comparison was made."""
        now = "there is none any more" if champion is None else f"it is v{champion.version} now"
        switches = [one for one in self.history(name) if one.action in SWITCHES and one.state == "done"]
        who = f", {switches[-1].action} by {switches[-1].by} in run {switches[-1].run_id}" if switches else ""
        return f"The champion changed after the comparison: {now}{who}. Run `promote` again to compare with that one."

    def _switch(self, decision: Decision) -> None:
        self._write(decision)
        self._client.set_registered_model_alias(decision.model, CHAMPION, decision.after)
        self._complete(decision)

    def _complete(self, decision: Decision) -> None:
        """Everything that follows from a switch; harmless when done again."""
        model, after = decision.model, decision.after
        self._retire_challenger(model)
        stack = self._stack_after(decision)
        if decision.action == "rolled back":
            told = f"{decision.minute} by {decision.by}: {decision.reason}"
            # One that was deleted since does not come back either.
            if self._models.with_number(model, decision.before) is not None:
                self._tag(model, decision.before, ROLLED_BACK_TAG, told)
        self._tag(model, after, BEFORE_TAG, stack[-1] if stack else "")
        self._tag(model, after, STACK_TAG, json.dumps(stack))
        self._tag(model, after, ROLLED_BACK_TAG, "")
        with _for_readers():
            if decision.action == "rolled back":
                self._tag_version(decision, decision.before, "rolled back")
            self._tag_version(decision, after, "restored" if decision.action == "rolled back" else decision.action)
        with _for_readers():
            self._client.update_registered_model(model, description=shorten(_page(decision), MAX_DESCRIPTION))
        self._client.set_tag(decision.run_id, f"{PREFIX}state", "done")

    def _stack_after(self, decision: Decision) -> list[str]:
        """The champions before the one that is champion now, oldest first."""
        if not decision.before:
            return []
        left = self._models.with_number(decision.model, decision.before)
        stack = [] if left is None else _stack(left)
        if decision.action != "rolled back":
            return [*stack, decision.before][-MAX_STACK:]
        last = max((place for place, number in enumerate(stack) if number == decision.after), default=0)
        return stack[:last]

    def _tag(self, model: str, number: str, tag: str, value: str) -> None:
        self._client.set_model_version_tag(model, number, tag, shorten(value, MAX_VERSION_TAG))

    def _tag_version(self, decision: Decision, number: str, what: str) -> None:
        """What was decided on a version, for its page."""
        for tag, value in (
            ("decision", what),
            ("decision_at", decision.when),
            ("decision_by", decision.by),
            ("decision_reason", decision.reason),
            ("decision_run", decision.run_id),
        ):
            self._tag(decision.model, number, tag, value)

    def _settle(self, name: str) -> None:
        """Completes or undoes what killed processes left; the lock says that nobody is at work."""
        for left in self._decisions(f"tags.`{PREFIX}model` = '{name}' and tags.`{PREFIX}state` = 'prepared'"):
            champion = self._models.with_alias(name, CHAMPION)
            if champion is not None and champion.version == left.after:
                self._complete(left)
            else:
                self._client.set_tag(left.run_id, f"{PREFIX}state", "undone")

    def _write(self, decision: Decision) -> None:
        from mlflow.entities import RunTag

        tags = [RunTag(name, value) for name, value in decision.tags.items()]
        self._client.log_batch(decision.run_id, tags=tags)

    def _decisions(self, wanted: str) -> list[Decision]:
        experiments = [one.experiment_id for one in self._client.search_experiments()]
        return [Decision.of(run.info.run_id, run.data.tags) for run in self._pages(experiments, wanted)]

    def _pages(self, experiments: list[str], wanted: str) -> Iterable[Any]:
        token = None
        while True:
            page = self._client.search_runs(experiments, wanted, max_results=PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return


def same_as(version: ModelVersion) -> tuple[str, ...]:
    """Digests of a version's files and, of a refit, of the version that was judged in its place."""
    return tuple(filter(None, (version.digest, version.tags.get(JUDGED_TAG, ""))))


def _stack(version: ModelVersion) -> list[str]:
    """The champions before a version, oldest first; of an earlier release's version only the last is known."""
    told = version.tags.get(STACK_TAG)
    if told:
        return [str(number) for number in json.loads(told)]
    return list(filter(None, [version.tags.get(BEFORE_TAG, "")]))


@contextmanager
def _for_readers() -> Iterator[None]:
    """What a decision does not depend on: where it cannot be written, that is logged and no more."""
    try:
        yield
    except Exception:
        logging.getLogger(__name__).warning("a decision stands, its page could not be written", exc_info=True)


def _page(decision: Decision) -> str:
    """Description of the registered model."""
    return (
        "Probability of leaving within the horizon, by window.\n\n"
        f"**Champion: v{decision.after}**, since {decision.minute}, by {decision.by}"
        + (f"; before: v{decision.before}, {PAST[decision.action]}" if decision.before else "")
        + f".\n\n{decision.reason}"
    )
