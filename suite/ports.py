"""Where the servers of this machine listen: on loopback, from one port on."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"
FIRST_PORT, TRIES = 8501, 100


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of this machine alone."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
