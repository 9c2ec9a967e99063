"""Signatures of files that this user's runs wrote, with a key outside the folders of runs.

A folder of runs may come from a clone or from a colleague. Loading a pickle can execute code, so pickles
without a valid signature are loaded only if the user trusts their author.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from kale_magics.execution.file_digests import file_digest

KEY_BYTES = 32


def sign(text: str) -> str:
    """Return the signature of a text with this user's key: HMAC-SHA256, in hexadecimal digits."""
    return hmac.new(_key(), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def is_signed_by_user(text: str, signature: object) -> bool:
    """Whether a signature of a text is this user's."""
    return isinstance(signature, str) and hmac.compare_digest(sign(text).encode(), signature.encode())


def signature_file(path: Path) -> Path:
    """Return the file with the signature of another file, beside it."""
    return path.with_name(f"{path.name}.signature")


def is_signed_file(path: Path) -> bool:
    """Whether a file exists, with a valid signature beside it."""
    try:
        return is_signed_by_user(file_digest(path), signature_file(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def key_file() -> Path:
    """Return the path of the key (a state file of the XDG Base Directory Specification)."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "kale_magics" / "key"


@functools.lru_cache(maxsize=1)
def _key() -> bytes:
    """Return the user's key; create it at the first use.

    If it cannot be stored, its signatures are valid in this process only.
    """
    created = secrets.token_bytes(KEY_BYTES)
    try:
        place = key_file()
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = place.with_name(f"key.{os.getpid()}.{secrets.token_hex(4)}")
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(created)
        try:
            os.link(part, place)  # of several sessions, the first one stores its key
        except FileExistsError:
            pass
        finally:
            part.unlink()
        stored = place.read_bytes()
    except (OSError, RuntimeError):  # no home, a full disk, a system without links
        return created
    return stored if len(stored) >= KEY_BYTES else created
