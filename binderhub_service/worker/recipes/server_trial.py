"""Does a server start in an environment that uv has made? It is known from another one with the same files, or tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from ...common import quick_imports
from ...common.server_program import SINGLEUSER, server_command
from ...common.terminal import plain
from ...errors import BuildFailed
from ..guards import Guard
from ..reporter import Reporter
from .tried import files_mark, is_tried, note_tried

_SHOWN_CHARACTERS = 300
# The last is for kernels: they import quick_imports' library as it is.
_IMPORTED_LATER = "import jupyterlab.labapp, jupyterlab.extensions, jupyter_lsp.serverextension, ipykernel.kernelapp, lark\n"


class ServerTrial:
    """Tries whether a server starts in one environment.

    Args:
        prefix: the environment.
        environment: what the server may see.
        has_bytecode: whether another environment's bytecode was taken over.
        of_packages: whether all that is in it is in the records of packages.
    """

    def __init__(
        self, prefix: Path, reporter: Reporter, guard: Guard, environment: Mapping[str, str], *, has_bytecode: bool, of_packages: bool
    ) -> None:
        self._prefix = prefix
        self._reporter = reporter
        self._guard = guard
        self._environment = environment
        self._has_bytecode = has_bytecode
        self._mark = files_mark(prefix) if of_packages else ""

    def is_known(self, others: Sequence[Path]) -> bool:
        """Say whether a server is known to start: it does in an environment with the same files, whose bytecode this one has."""
        if not (self._has_bytecode and is_tried(self._mark, others)):
            return False
        self._reporter.log("A server starts from another environment with the same files, so that is not tried again.")
        note_tried(self._prefix, self._mark)
        return True

    def run(self, niceness: int = 0) -> None:
        """Run the server's program once, if there is one; its bytecode is made by that, too, and nobody can keep more of it later.

        Where there was no bytecode, what a server imports only when it serves is imported as well, and a kernel.

        Args:
            niceness: how far others go before it, in `nice`'s units.

        Raises:
            BuildFailed: no server starts.
        """
        if (self._prefix / "bin" / SINGLEUSER).exists():
            self._run_server(niceness)
        if self._mark:
            note_tried(self._prefix, self._mark)

    def _run_server(self, niceness: int) -> None:
        with TemporaryDirectory(dir=self._prefix) as home:
            environment = {**self._environment, "HOME": home, "JUPYTER_CONFIG_DIR": home, "JUPYTERHUB_SINGLEUSER_APP": "jupyter_server"}
            run = partial(self._reporter.run, cwd=Path(home), environment=environment, guard=self._guard, niceness=niceness)
            finished = run((*server_command(self._prefix), "--version"))
            if not self._has_bytecode and not finished.status:
                later = Path(home, "later.py")
                later.write_text(_IMPORTED_LATER, encoding="utf-8")
                command = (str(self._prefix / "bin" / "python"), quick_imports.__file__, str(later))
                run(command, translate=_nothing)
        if finished.status:
            last = plain(finished.tail.strip().rpartition("\n")[2])[:_SHOWN_CHARACTERS]
            raise BuildFailed(
                f"The environment is made, but no server starts in it. Its program said: {last.rstrip('.')}.",
                code="no_singleuser",
                hint="A requirement may be too old or too new for JupyterLab; loosen its version.",
            )


def _nothing(_: str) -> list[str]:
    """Keep a line out of the log."""
    return []
