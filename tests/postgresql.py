"""A PostgreSQL of the tests' own, of Debian's package: on a free port, in a directory of its own, gone afterwards.

`BINDER_TEST_POSTGRESQL` may name another server by its SQLAlchemy URL; then that one is used, and its database is emptied.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from binderhub_service.store import schema_version
from binderhub_service.store.schema import lease, metadata
from tests.harness.ports import free_ports

VARIABLE = "BINDER_TEST_POSTGRESQL"
_ANSWER_SECONDS = 60
# Nothing here outlives the machine, so nothing waits for the disk; what was committed survives `stop` all the same.
_OPTIONS = "-c fsync=off -c full_page_writes=off"
PASSWORD = "the-password-of-a-database"


class PostgreSQL:
    """A server with one empty database.

    Attributes:
        url: the database, as SQLAlchemy takes it.

    Args:
        address: where it listens, for this machine and what is in the same network.
    """

    def __init__(self, programs: Path, directory: Path, address: str = "127.0.0.1") -> None:
        self._programs = programs
        self._directory = directory
        self._data = directory / "data"
        self._address = address
        [self._port] = free_ports(1, address)
        self.url = f"postgresql+psycopg://binder:{PASSWORD}@{address}:{self._port}/postgres?connect_timeout=2"
        password = directory / "password"
        password.write_text(PASSWORD)
        how = ("--username", "binder", "--pwfile", str(password), "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync")
        self._run("initdb", "--pgdata", str(self._data), *how)
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet scram-sha-256\n")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self._port} -k {self._directory} -c listen_addresses={self._address} {_OPTIONS}"
        self._run("pg_ctl", "start", "--wait", "-D", str(self._data), "-l", str(self._directory / "log"), "-o", options)

    def stop(self) -> None:
        """End it as a crash would: its clients are cut off."""
        self._run("pg_ctl", "stop", "--wait", "-D", str(self._data), "--mode", "immediate")

    def freeze(self) -> None:
        """Let it accept connections and never answer: every process of it is stopped."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        main = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
        for process in (main, *main.children(recursive=True)):  # the main one first: it starts no more
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _run(self, program: str, *arguments: str) -> None:
        user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        command = [*user, str(self._programs / program), *arguments]
        subprocess.run(command, cwd=self._directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_ANSWER_SECONDS)


def programs_or_none() -> Path | None:
    """Return the directory of the newest PostgreSQL server's programs; None if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).resolve().parent if on_path else None


def empty(url: str) -> None:
    """Remove all tables of a database."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()


def empty_tables(url: str) -> None:
    """Remove all rows of a database that a store has opened, and let it count from the start."""
    names = ", ".join(name for name in metadata.tables if name != lease.name)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY")
        connection.execute(lease.update().values(generation=0))
    engine.dispose()


def new_server(address: str = "127.0.0.1") -> Iterator[PostgreSQL]:
    """Yield a running server that ends with the test, listening at an address; skip, saying why, where there is none to be had."""
    programs = programs_or_none()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed (Debian: postgresql-15)")
    pytest.importorskip("psycopg", reason="the driver psycopg is not installed (the extra `postgresql`)")
    directory = Path(tempfile.mkdtemp(prefix="binder-postgresql-"))
    try:
        if os.getuid() == 0:
            shutil.chown(directory, "postgres")
        server = PostgreSQL(programs, directory, address)
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(subprocess.CalledProcessError, FileNotFoundError):  # a test may have stopped it
                server.thaw()
                server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql_server_url() -> Iterator[str]:
    """The address of a database for the whole run."""
    url = os.environ.get(VARIABLE)
    if url:
        yield url
    else:
        for server in new_server():
            yield server.url


@pytest.fixture
def postgresql_url(postgresql_server_url: str, with_tables: set[str]) -> Iterator[str]:
    """The address of an empty database; of a database that was named from outside, several processes of tests make use in turn."""
    with_tables.discard(postgresql_server_url)
    with _turn() if VARIABLE in os.environ else contextlib.nullcontext():
        empty(postgresql_server_url)
        yield postgresql_server_url


@pytest.fixture(scope="session")
def with_tables() -> set[str]:
    """The addresses of databases that have this version's tables; nobody but this process uses them."""
    return set()


@pytest.fixture
def postgresql_store_url(postgresql_server_url: str, with_tables: set[str], request: pytest.FixtureRequest) -> str:
    """The address of a database without a row, which has its tables already: to make them takes longer than most tests."""
    if postgresql_server_url in with_tables:
        empty_tables(postgresql_server_url)
        return postgresql_server_url
    url: str = request.getfixturevalue("postgresql_url")
    engine = sa.create_engine(url)
    schema_version.migrate(engine)
    engine.dispose()
    if VARIABLE not in os.environ:
        with_tables.add(url)
    return url


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    with (Path(tempfile.gettempdir()) / "binder-test-postgresql.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture
def own_postgresql() -> Iterator[PostgreSQL]:
    """A server that the test may stop and start."""
    yield from new_server()
