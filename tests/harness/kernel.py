"""Running code in a Jupyter server, the way a notebook does: REST for the kernel, its websocket for the rest."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx
import websocket

from tests.harness.waiting import HANGS_SECONDS


def run_code(server_url: str, token: str, code: str, timeout_seconds: float = HANGS_SECONDS) -> str:
    """Run `code` in a new kernel of the server at `server_url` and return what it printed; raise if it raised.

    Args:
        server_url: e.g. ``http://127.0.0.1:8000/user/alice``, so that everything goes through the proxy.
        token: a hub token that may access the server.
    """
    headers = {"Authorization": f"token {token}"}
    with httpx.Client(headers=headers, timeout=timeout_seconds) as client:
        reply = client.post(f"{server_url}/api/kernels", json={"name": "python3"})
        reply.raise_for_status()
        kernel = reply.json()["id"]
        try:
            return _run(f"{server_url}/api/kernels/{kernel}/channels", headers, code, timeout_seconds)
        finally:
            client.delete(f"{server_url}/api/kernels/{kernel}")


def _run(address: str, headers: dict[str, str], code: str, timeout_seconds: float) -> str:
    message = _execute_request(code)
    socket = websocket.create_connection(address.replace("http", "ws", 1), header=headers, timeout=timeout_seconds)
    try:
        socket.send(json.dumps(message))
        return _printed(socket, message["header"]["msg_id"])
    finally:
        socket.close()


def _printed(socket: websocket.WebSocket, asked: str) -> str:
    printed = ""
    while True:
        reply = json.loads(socket.recv())
        if reply["parent_header"].get("msg_id") != asked:
            continue
        kind, content = reply["msg_type"], reply["content"]
        if kind == "stream":
            printed += content["text"]
        elif kind == "error":
            raise RuntimeError("\n".join(content["traceback"]))
        elif kind == "status" and content["execution_state"] == "idle":
            return printed


def _execute_request(code: str) -> dict[str, Any]:
    header = {"msg_id": uuid.uuid4().hex, "session": uuid.uuid4().hex, "username": "", "msg_type": "execute_request", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    return {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell", "buffers": []}
