"""What this user's own runs have written, and nobody else: known by a key that is in no folder of runs.

A folder of runs may have come with a clone, or from a colleague. What is in it is read; its pickles, which
run code when they are loaded, only if the user says that whoever wrote them is trusted.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import os
import secrets
from pathlib import Path

KEY_BYTES = 32


def sign(text: str) -> str:
    """The signature of a text, which only who has this user's key can make: HMAC-SHA256, as hexadecimals."""
    return hmac.new(_key(), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def is_signed_by_user(text: str, signature: object) -> bool:
    """Whether a text was signed by this user."""
    return isinstance(signature, str) and hmac.compare_digest(sign(text).encode(), signature.encode())


def key_file() -> Path:
    """Where the key is (XDG Base Directory Specification: state that is no document of the user's)."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "kale_magics" / "key"


@functools.lru_cache(maxsize=1)
def _key() -> bytes:
    """The user's key; made when it is asked for first.

    One that cannot be kept holds for this session only: what it has signed is not known later.
    """
    made = secrets.token_bytes(KEY_BYTES)
    try:
        place = key_file()
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = place.with_name(f"key.{os.getpid()}.{secrets.token_hex(4)}")
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(made)
        try:
            os.link(part, place)  # the first one counts, whichever session made it
        except FileExistsError:
            pass
        finally:
            part.unlink()
        kept = place.read_bytes()
    except (OSError, RuntimeError):  # no home, a full disk, a system without links
        return made
    return kept if len(kept) >= KEY_BYTES else made
