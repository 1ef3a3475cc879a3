"""A line to a server that can be cut, or fall silent."""

import socket
import threading
from contextlib import suppress


class Line:
    """A line to a server that can be cut: who connects while it is cut is refused, and what was connected is closed. While it is silent,
    who connects is never answered."""

    def __init__(self, port: int) -> None:
        self.far = port
        self.near = socket.create_server(("127.0.0.1", 0))
        self.port = self.near.getsockname()[1]
        self.cut = self.silent = False
        self.open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                one, _ = self.near.accept()
            except OSError:
                return
            if self.cut:
                one.close()
                continue
            if self.silent:
                self.open.append(one)
                continue
            with suppress(OSError):
                other = socket.create_connection(("127.0.0.1", self.far))
                self.open += [one, other]
                for here, there in ((one, other), (other, one)):
                    threading.Thread(target=self._carry, args=(here, there), daemon=True).start()

    def _carry(self, here: socket.socket, there: socket.socket) -> None:
        with suppress(OSError):
            while data := here.recv(1 << 16):
                there.sendall(data)
        for one in (here, there):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def away(self) -> None:
        self.cut = True
        for one in self.open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def back(self) -> None:
        self.cut = False
