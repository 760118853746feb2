"""The port that a labelling session listens on, and what its process loads."""

import socket

from fewlabel.web.server import listen
from tests.interpreter import run_code


def test_what_is_sent_is_not_held_back() -> None:
    with (
        listen("127.0.0.1", 0) as port,
        socket.create_connection(port.getsockname()),
        port.accept()[0] as one,
    ):
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_the_page_opens_without_torch() -> None:
    modules = (
        "data, labelling.refit, labelling.session, labelling.store, labelling.messages, web.app"
    )
    loaded = "; ".join(f"import fewlabel.{name}" for name in modules.split(", "))
    found = run_code(f"import sys; {loaded}; print('torch' in sys.modules)")
    assert (found.stdout.strip(), found.stderr) == ("False", "")
