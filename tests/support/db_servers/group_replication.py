"""A MySQL Group Replication cluster: three servers of which one, or each, accepts writes."""

import asyncio
import shutil
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

from tests.support.db_servers.mysql import OWN_CERTIFICATE, MySQL
from tests.support.db_servers.process import PASSWORD, USER
from tests.support.process_state import owns_socket
from tests.support.server import Server, ThreadServer
from tests.support.wait import wait_until

GROUP_NAME = "8f9e3a52-6c0b-4c55-9a0b-3d6f5f1c2a77"
"""Any UUID."""
_NETWORK = "::1"
"""Address where members reach each other, through `GroupNetwork`. Clients use 127.0.0.1."""
_STATE_SQL = (
    "SELECT CONCAT(member_state, ' ', member_role) FROM performance_schema.replication_group_members "
    "WHERE member_id = @@server_uuid"
)
_POLL_INTERVAL = 0.5
"""Seconds between two polls of the group's state, each of which starts six programs."""
_ONLINE_SQL = "SELECT COUNT(*) FROM performance_schema.replication_group_members WHERE member_state = 'ONLINE'"


class Member(MySQL):
    """One server of a group."""

    # A member that logged the creation of its user would have a transaction that the group lacks.
    init_sql: ClassVar = f"SET sql_log_bin = 0;\n{MySQL.init_sql}"
    catch_up_sql: ClassVar = "SET SESSION group_replication_consistency = 'BEFORE'"
    """Makes a session wait for every transaction that the group committed before."""

    def __init__(self, number: int, *, multi_primary: bool, template: Path | None = None) -> None:
        """Describe a member; `template` is that of `DatabaseServer`."""
        super().__init__(OWN_CERTIFICATE, template=template)
        self.seeds: Sequence[int] = ()
        """Ports of all members."""
        self.joins_at_start = False
        """True once it is a member: it joins by itself when it starts again."""
        self._arguments += (
            f"--server-id={number + 1}",
            "--log-bin=binlog",
            "--gtid-mode=ON",
            "--enforce-gtid-consistency=ON",
            "--plugin-load-add=group_replication.so",
            "--plugin-load-add=mysql_clone.so",
            "--report-host=127.0.0.1",
            f"--group-replication-group-name={GROUP_NAME}",
            "--group-replication-communication-stack=MYSQL",
            f"--group-replication-local-address=[{_NETWORK}]:{self.port}",
            "--group-replication-recovery-get-public-key=ON",
            f"--group-replication-single-primary-mode={'OFF' if multi_primary else 'ON'}",
            f"--group-replication-enforce-update-everywhere-checks={'ON' if multi_primary else 'OFF'}",
        )

    @property
    def state(self) -> str:
        """Return state and role, such as "ONLINE PRIMARY"; empty while the server is away."""
        with suppress(RuntimeError):
            return self.execute(_STATE_SQL)
        return ""

    @property
    def sees_whole_group(self) -> bool:
        """Return whether it is in a group of three that are all online."""
        return self.state.startswith("ONLINE ") and self.execute(_ONLINE_SQL) == "3"

    @property
    def pid(self) -> int | None:
        """Return the id of its process, None while there is none."""
        return self._process.pid if self._process else None

    def bootstrap(self) -> None:
        """Begin a group."""
        self.execute("SET GLOBAL group_replication_bootstrap_group = ON")
        self.join()
        self.execute("SET GLOBAL group_replication_bootstrap_group = OFF")

    def join(self) -> None:
        """Join the group, with the data of another member."""
        self.execute(
            f"CHANGE REPLICATION SOURCE TO SOURCE_USER = '{USER}', SOURCE_PASSWORD = '{PASSWORD}' "
            "FOR CHANNEL 'group_replication_recovery'; START GROUP_REPLICATION"
        )
        self.joins_at_start = True
        # It would fail while the member accepts no writes.
        self._init_file.write_text("", "utf-8")

    def rejoin_by_clone(self) -> None:
        """Lose all data, and copy those of another member."""
        self.kill()
        shutil.rmtree(self._data_folder)
        self._init_file.write_text(self.init_sql, "utf-8")
        self.joins_at_start = False
        self._initialize_data(self._data_folder)
        self.start()
        self.execute("SET GLOBAL group_replication_clone_threshold = 1")
        self.join()
        process = self._process
        assert process is not None
        # It restarts by itself only under a supervisor.
        wait_until(lambda: process.poll() is not None, "the member has copied no data")
        self._process = None
        self.start()

    def _prepare(self) -> None:
        super()._prepare()
        # The template's copies would all have one id.
        (self._data_folder / "auto.cnf").unlink(missing_ok=True)

    def _build_command(self, program: Path) -> list[str]:
        seeds = ",".join(f"[{_NETWORK}]:{port}" for port in self.seeds)
        return [
            *super()._build_command(program),
            f"--loose-group-replication-group-seeds={seeds}",
            f"--loose-group-replication-start-on-boot={'ON' if self.joins_at_start else 'OFF'}",
        ]


@dataclass(eq=False, slots=True)
class _Link:
    """A connection between two members."""

    ends: set[Member]
    writers: list[asyncio.StreamWriter] = field(default_factory=list)


class GroupNetwork(ThreadServer):
    """The network between members: a proxy in front of each that knows which member connects."""

    def __init__(self, members: Sequence[Member]) -> None:
        """Connect the members."""
        self._members = members
        self._isolated: set[Member] = set()
        self._links: set[_Link] = set()

    def cut_off(self, *members: Member) -> None:
        """Lose all that is sent to or by each of these members, new connections included."""
        self._isolated.update(members)

    def reconnect(self) -> None:
        """End every isolation. Connections that lost something end."""
        self._run_in_loop(self._drop_cut_links())

    async def _drop_cut_links(self) -> None:
        self._abort({link for link in self._links if link.ends & self._isolated})
        self._isolated.clear()

    def _abort(self, links: set[_Link]) -> None:
        for link in links:
            for writer in link.writers:
                writer.transport.abort()

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack:
            for member in self._members:
                on_connect = partial(self._connect, member)
                await stack.enter_async_context(await asyncio.start_server(on_connect, _NETWORK, member.port))
            await self._stopped.wait()
            self._abort(self._links)

    async def _connect(self, target: Member, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client_port = writer.get_extra_info("peername")[1]
        source = next((member for member in self._members if member.pid and owns_socket(member.pid, client_port)), None)
        link = _Link({target} if source is None else {source, target}, [writer])
        self._links.add(link)
        try:
            target_reader, target_writer = await asyncio.open_connection("127.0.0.1", target.port)
            link.writers.append(target_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forward(link, reader, target_writer))
                group.create_task(self._forward(link, target_reader, writer))
        except* OSError:
            pass
        finally:
            self._links.discard(link)
            self._abort({link})

    async def _forward(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if not link.ends & self._isolated:
                writer.write(data)
                await writer.drain()
        raise ConnectionResetError


class GroupReplication(Server):
    """A group of three members, each of which can be broken on demand."""

    def __init__(self, *, multi_primary: bool = False, template: Path | None = None) -> None:
        """Describe the members; `template` is that of `DatabaseServer`."""
        self.members = tuple(Member(number, multi_primary=multi_primary, template=template) for number in range(3))
        for member in self.members:
            member.seeds = [other.port for other in self.members]
        self.network = GroupNetwork(self.members)

    def _open(self, stack: ExitStack) -> None:
        stack.enter_context(self.network)
        for member in self.members:
            stack.enter_context(member)
        first, *others = self.members
        first.bootstrap()
        for member in others:
            member.join()
        self.wait_until_whole()

    @property
    def primary(self) -> Member:
        """Return the member that accepts writes."""
        return next(member for member in self.members if member.state == "ONLINE PRIMARY")

    @property
    def secondaries(self) -> list[Member]:
        """Return the members that accept no writes."""
        return [member for member in self.members if member.state == "ONLINE SECONDARY"]

    def wait_until_whole(self) -> None:
        """Wait until every member is online and sees all three."""
        wait_until(
            lambda: all(member.sees_whole_group for member in self.members), "the group is not whole", _POLL_INTERVAL
        )
