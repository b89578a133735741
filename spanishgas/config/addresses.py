"""Addresses to listen on."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address; a name that is not ``localhost`` may be any."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
