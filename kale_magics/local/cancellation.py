"""Cancels a run from another thread."""

from __future__ import annotations

import contextlib
import socket


class CancelledError(Exception):
    """A run was cancelled."""


class Canceller:
    """Cancels a run, from any thread.

    Attributes:
        receiver: Readable when the run is to end.
    """

    def __init__(self) -> None:
        self.receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)

    def cancel(self) -> None:
        """Request the end of the run."""
        with contextlib.suppress(OSError):  # it has ended
            self._sender.send(b".")

    def close(self) -> None:
        """Close the sockets."""
        self.receiver.close()
        self._sender.close()

    def raise_error(self) -> None:
        """End the run.

        Raises:
            CancelledError: Always.
        """
        raise CancelledError
