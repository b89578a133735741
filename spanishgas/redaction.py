"""Secrets taken out of texts: the one place that everything goes through before a terminal, a log or a run sees it.

Passwords stand in addresses (``scheme://user:password@host``, ``?password=...``) and in variables of the environment.
The former are known by their form, whatever address it is; the latter by their values.
"""

import os
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, quote, unquote, urlsplit

BLOT = "***"
SECRETS = ("password", "sslpassword")
# Passwords may hold whatever the last @ before a blank or quote leaves on its left, as people do not always quote them.
# The user is kept: whoever reads the message wants to know who was refused.
IN_ADDRESS = re.compile(r"(?P<kept>\b[a-zA-Z][\w+.-]*://[^\s:/@'\"<>]*:)[^\s/'\"<>]+@")
IN_QUERY = re.compile(rf"(?P<kept>[?&](?:{'|'.join(SECRETS)})=)[^\s&'\"<>#]+", re.IGNORECASE)
SECRET_VARIABLE = re.compile(r"PASSWORD|PASSWD|TOKEN|SECRET|_KEY$", re.IGNORECASE)
# A shorter one may be part of any word; who wants it to be a secret has other worries.
SHORTEST_WORD = 8


def redacted(text: str) -> str:
    """A text without passwords and tokens."""
    if "://" in text:
        text = IN_ADDRESS.sub(rf"\g<kept>{BLOT}@", text)
    text = IN_QUERY.sub(rf"\g<kept>{BLOT}", text)
    for secret in _of_the_environment():
        if secret in text:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", BLOT, text)
    return text


def without_secrets(text: str, address: str) -> str:
    """A text without the passwords of an address, which clients like to quote in their errors."""
    for secret in passwords_of(address):
        for form in {secret, unquote(secret), quote(secret, safe="")}:
            text = text.replace(f":{form}@", f":{BLOT}@")
            for key in SECRETS:
                text = text.replace(f"{key}={form}", f"{key}={BLOT}")
    return redacted(text)


def masked(address: str) -> str:
    """An address without the password in it."""
    return without_secrets(address, address)


def passwords_of(address: str) -> list[str]:
    """Passwords in an address, as they stand there."""
    try:
        parts = urlsplit(address)
        found = [parts.password, *(one for key in SECRETS for one in parse_qs(parts.query).get(key, ()))]
    except ValueError:  # no address at all
        return []
    return [secret for secret in found if secret]


def _of_the_environment() -> Iterator[str]:
    """Secrets that variables of the environment hold, in all forms that they are written in."""
    for name in list(os.environ):
        value = os.environ.get(name, "")  # other threads take variables away meanwhile
        secrets = passwords_of(value) if "://" in value else [value] if SECRET_VARIABLE.search(name) else []
        for secret in secrets:
            for form in dict.fromkeys((secret, unquote(secret), quote(secret, safe=""))):
                if len(form) >= SHORTEST_WORD and not form.startswith("/"):  # the name of a file that holds it
                    yield form
