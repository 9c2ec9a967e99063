"""Asking a run to end."""

from __future__ import annotations

import contextlib
import socket


class CancelledError(Exception):
    """A run was asked to end."""


class Canceller:
    """Asks a run to end, from any thread."""

    def __init__(self) -> None:
        self.heard, self._speak = socket.socketpair()
        self._speak.setblocking(False)

    def cancel(self) -> None:
        """Ask."""
        with contextlib.suppress(OSError):  # it has ended
            self._speak.send(b".")

    def close(self) -> None:
        """Let go of what it holds."""
        self.heard.close()
        self._speak.close()

    def raise_error(self) -> None:
        """End the run that has heard it.

        Raises:
            CancelledError: Always.
        """
        raise CancelledError
