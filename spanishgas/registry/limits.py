"""How long texts may be: PostgreSQL refuses what is longer, where SQLite lets it pass."""

MAX_DESCRIPTION = 5000
MAX_TAG = 8000
MAX_VERSION_TAG = 5000


def shorten(text: str, most: int) -> str:
    """A text of at most that many characters; the cut is marked."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
