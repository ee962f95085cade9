"""A token that works once: its maker keeps its SHA-256 in a file, and its use removes the file.

python -m binderhub_service.common.one_time_token FILE        prints a token
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sys
from pathlib import Path


def new_token(path: Path) -> str:
    """Return a fresh token and keep its SHA-256 in the file `path` (mode 0600), in place of any earlier one."""
    token = secrets.token_urlsafe(32)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(_digest(token))
    aside.replace(path)
    return token


def redeem(path: Path, token: str) -> bool:
    """Use the token up: say whether it was the right one, for the first and only time.

    Of several processes with the right token the process that removes the file wins.
    """
    try:
        wanted = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return False
    if not hmac.compare_digest(wanted, _digest(token)):
        return False
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


if __name__ == "__main__":
    sys.stdout.write(new_token(Path(sys.argv[1])) + "\n")
