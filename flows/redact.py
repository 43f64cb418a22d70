"""Passwords and tokens taken out of text before it leaves for a terminal, a log or Prefect."""

import os
import re

HIDDEN = "***"
#: `user:password@` of an address, up to the last '@' before the path; or past a '/', '?' or '#' that somebody forgot
#: to quote in a password, unless what follows the colon is a port.
_USERINFO = re.compile(r"(?<=://)(?:[^\s/?#]*@|[^\s/?#:@]*:(?!\d+(?:[/?#\s]|$))[^\s'\"<>]*@)")
_QUERY = re.compile(
    r"(?i)([?&;][\w-]*(?:password|passwd|pwd|secret|token|signature|sig|credential|api_?key|access_?key)[\w-]*=)"
    r"[^&;#\s'\"]+"
)
_HEADER = re.compile(r"(?i)\b(basic|bearer) [\w.+/~-]{8,}=*")
#: Environment variables whose value is a secret wherever it stands.
SECRETS = ("PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_KEY")


def redact(text: str) -> str:
    """``text`` with the passwords of addresses, tokens in queries and headers, and known secrets as `***`."""
    text = _USERINFO.sub(f"{HIDDEN}@", text)
    text = _QUERY.sub(rf"\1{HIDDEN}", text)
    text = _HEADER.sub(rf"\1 {HIDDEN}", text)
    for name in SECRETS:
        whole = os.environ.get(name, "")
        for secret in (whole, whole.partition(":")[2]):  # of `user:password` the password by itself, too
            if len(secret) >= 4:  # a shorter one would blot out half the text
                text = text.replace(secret, HIDDEN)
    return text


def redact_address(address: str) -> str:
    """An address without its user and password, also where it lacks the `http://` that tells it from other text."""
    return redact(address) if "://" in address else re.sub(r"^.*@", f"{HIDDEN}@", address)
