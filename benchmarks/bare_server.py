"""`python -m benchmarks.bare_server stdio|http`: the SDK's server with one tool that echoes, and nothing else.

Over HTTP the last word of the first line is the address.
"""

import asyncio
import socket
import sys
from typing import Any

from mcp.server.mcpserver import MCPServer


def server() -> MCPServer[Any]:
    """Return the server."""
    bare: MCPServer[Any] = MCPServer("bare", log_level="WARNING")

    @bare.tool()
    def echo(text: str) -> dict[str, str]:
        """Answer with the same text."""
        return {"text": text}

    return bare


def _serve_http() -> None:
    import uvicorn

    # As the product's: the protocol is stated, so that answers do not wait for acknowledgements.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        sys.stdout.write(f"Serving at http://127.0.0.1:{listener.getsockname()[1]}/mcp\n")
        sys.stdout.flush()
        config = uvicorn.Config(server().streamable_http_app(), log_config=None, access_log=False)
        asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    _serve_http() if sys.argv[1:] == ["http"] else asyncio.run(server().run_stdio_async())
