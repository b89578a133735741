"""Who is let in: tokens, how many requests a caller may make, and how many may wait for an answer at a time."""

import hmac
import time
from collections.abc import Callable

from spanishgas.serving.settings import ServingSettings

# Callers that are remembered; without tokens they are addresses, of which there is no end.
MOST_CALLERS = 10_000
LATER = {"retry-after": "1"}


class RateLimit:
    """So many requests a second for each caller, and that many at once after a pause.

    Args:
        per_second: How many; 0 limits nobody.
        clock: Seconds.
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = per_second, clock
        self._most = max(per_second, 1.0)
        self._callers: dict[str, tuple[float, float]] = {}

    def takes(self, caller: str) -> bool:
        """Whether a caller may make one more request now."""
        if not self._rate:
            return True
        now = self._clock()
        left, since = self._callers.pop(caller, (self._most, now))
        left = min(self._most, left + (now - since) * self._rate)
        allowed = left >= 1
        self._callers[caller] = (left - allowed, now)
        if len(self._callers) > MOST_CALLERS:  # the first is whom nobody has heard of for longest
            del self._callers[next(iter(self._callers))]
        return allowed


class Admission:
    """What REST and gRPC of a worker ask before they answer.

    Args:
        settings: Tokens and limits.

    Attributes:
        arriving: Requests whose heads have been read and that nobody has begun with.
        rate: How often each caller may ask.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._tokens = tuple(f"Bearer {token}".encode() for token in settings.tokens)
        self._admin = None if settings.admin_token is None else f"Bearer {settings.admin_token.get_secret_value()}"
        self._most = settings.max_waiting
        self._waiting = 0
        self.arriving = 0
        self.rate = RateLimit(settings.rate_per_second)

    @property
    def has_admin(self) -> bool:
        """Whether there are control calls at all."""
        return self._admin is not None

    def caller(self, authorization: bytes, address: str) -> str | None:
        """Who asks: the place of the token in the settings, or the address where none is asked for.

        Returns:
            None for somebody whose token is missing or wrong.
        """
        if not self._tokens:
            return address
        # All are compared, so that the time taken does not tell which one was close.
        same = [hmac.compare_digest(authorization, token) for token in self._tokens]
        return f"token {same.index(True)}" if any(same) else None

    def is_admin(self, authorization: bytes) -> bool:
        """Whether the token is that of control calls."""
        return self._admin is not None and hmac.compare_digest(authorization, self._admin.encode())

    def enter(self) -> bool:
        """Counts a request that is to be answered; False where there are too many already."""
        if self._waiting >= self._most:
            return False
        self._waiting += 1
        return True

    def leave(self) -> None:
        """A request has been answered."""
        self._waiting -= 1
