"""A Galera cluster: three MariaDB servers that replicate every commit synchronously."""

import shutil
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import ClassVar

from tests.support.db_servers.mariadb import MariaDB
from tests.support.server import Server, free_port
from tests.support.wait import wait_until

_PROVIDER_PATHS = (Path("/usr/lib/galera/libgalera_smm.so"), Path("/usr/lib64/galera-4/libgalera_smm.so"))


class Node(MariaDB):
    """One server of a cluster. If its data is stale, it copies another node's."""

    catch_up_sql: ClassVar = "SET SESSION wsrep_sync_wait = 1"
    """Makes a session wait for every transaction that the cluster committed before."""

    install_hint: ClassVar = "install mariadb-server, galera-4 and rsync to run this test"

    def __init__(self, *, port: int, others: Sequence[int], template: Path | None = None) -> None:
        """Use `port` for the cluster's traffic, and join the nodes at the ports `others`."""
        options = {
            "gmcast.listen_addr": f"tcp://127.0.0.1:{port}",
            "ist.recv_addr": f"127.0.0.1:{free_port()}",
            "gcache.size": "16M",
        }
        provider_options = ";".join(f"{name}={value}" for name, value in options.items())
        self.others = others
        """Ports of the nodes to join; empty: bootstrap a cluster."""
        super().__init__(
            "--wsrep-on=ON",
            f"--wsrep-provider={_find_provider()}",
            f"--wsrep-provider-options={provider_options}",
            f"--wsrep-node-address=127.0.0.1:{port}",
            "--wsrep-sst-method=rsync",
            f"--wsrep-sst-receive-address=127.0.0.1:{free_port()}",
            "--binlog-format=ROW",
            "--innodb-autoinc-lock-mode=2",
            template=template,
        )

    @classmethod
    def find_program(cls) -> Path | None:
        """Return the path of mariadbd if Galera and rsync are installed too, else None."""
        return super().find_program() if _find_provider() and shutil.which("rsync") else None

    @property
    def state(self) -> str:
        """Return the node's state: Synced, Donor/Desynced, Joiner or Initialized."""
        return self._read_status("wsrep_local_state_comment")

    @property
    def size(self) -> int:
        """Return the number of nodes that it sees, itself included."""
        return int(self._read_status("wsrep_cluster_size"))

    def cut_off(self) -> None:
        """Isolate it from the other nodes, as a network partition does; clients still reach it."""
        self._set_isolation(1)

    def reconnect(self) -> None:
        """End the isolation."""
        self._set_isolation(0)

    def _set_isolation(self, isolated: int) -> None:
        self.execute(f"SET GLOBAL wsrep_provider_options = 'gmcast.isolate={isolated}'")

    def _read_status(self, name: str) -> str:
        return self.execute(f"SHOW STATUS LIKE '{name}'").partition("\t")[2]

    def _build_command(self, program: Path) -> list[str]:
        others = ",".join(f"127.0.0.1:{port}" for port in self.others)
        return [*super()._build_command(program), f"--wsrep-cluster-address=gcomm://{others}"]

    def _is_ready(self, pid: int) -> bool:
        with suppress(RuntimeError):  # while it joins, it accepts clients and rejects their statements
            return super()._is_ready(pid) and self._read_status("wsrep_ready") == "ON"
        return False


class Galera(Server):
    """A cluster of three nodes, each of which can be broken on demand."""

    def __init__(self, template: Path | None = None) -> None:
        """Describe the nodes; `template` is that of `DatabaseServer`."""
        ports = [free_port() for _ in range(3)]
        self._ports = ports
        self.nodes = tuple(
            Node(port=port, others=ports[:number], template=template) for number, port in enumerate(ports)
        )

    def _open(self, stack: ExitStack) -> None:
        for node in self.nodes:
            stack.enter_context(node)
        # A node that starts again later joins through any node that runs then.
        for node in self.nodes:
            node.others = self._ports
        self.wait_until_synced()

    def wait_until_synced(self) -> None:
        """Wait until every node is synced and sees all three."""
        wait_until(
            lambda: all((node.state, node.size) == ("Synced", 3) for node in self.nodes), "the cluster is not whole"
        )


def _find_provider() -> Path | None:
    return next((path for path in _PROVIDER_PATHS if path.exists()), None)
