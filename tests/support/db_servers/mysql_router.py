"""MySQL Router in front of a group: one port that leads to the member that accepts writes."""

import json
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.support.db_servers.group_replication import GROUP_NAME, GroupReplication
from tests.support.db_servers.mysql import command_of
from tests.support.db_servers.process import PASSWORD, USER
from tests.support.server import Server, free_port
from tests.support.wait import WAIT_TIMEOUT, wait_until

_CLUSTER = "tests"
_CONFIGURATION = """
[DEFAULT]
logging_folder={folder}
runtime_folder={folder}
data_folder={folder}
plugin_folder={plugins}
keyring_path={folder}/keyring
master_key_path={folder}/master-key
dynamic_state={folder}/state.json
[logger]
level=INFO
[metadata_cache:cluster]
cluster_type=gr
router_id=1
user={user}
metadata_cluster={cluster}
ttl=0.5
[routing:primary]
bind_address=127.0.0.1
bind_port={port}
destinations=metadata-cache://{cluster}/?role=PRIMARY
routing_strategy=first-available
protocol=classic
client_ssl_mode=PASSTHROUGH
server_ssl_mode=AS_CLIENT
"""
# What Router reads of the schema that MySQL Shell creates; Debian has no MySQL Shell.
_METADATA_SQL = """
CREATE DATABASE mysql_innodb_cluster_metadata;
USE mysql_innodb_cluster_metadata;
CREATE VIEW schema_version (major, minor, patch) AS SELECT 2, 2, 0;
CREATE VIEW v2_this_instance (cluster_id, cluster_name, cluster_type) AS SELECT 'id', '{cluster}', 'gr';
CREATE VIEW v2_gr_clusters (cluster_id, cluster_name, group_name) AS SELECT 'id', '{cluster}', '{group}';
CREATE VIEW v2_cs_members (cluster_id, clusterset_id) AS SELECT 'id', NULL WHERE FALSE;
CREATE VIEW v2_router_options (router_id, router_options) AS SELECT 1, '{{}}';
CREATE TABLE v2_routers (
    router_id INT PRIMARY KEY, address TEXT, router_name TEXT, version TEXT, last_check_in DATETIME,
    attributes JSON, options JSON
);
INSERT INTO v2_routers (router_id) VALUES (1);
CREATE TABLE v2_instances (
    mysql_server_uuid CHAR(36) PRIMARY KEY, cluster_id TEXT, label TEXT, endpoint TEXT, xendpoint TEXT, attributes JSON
);
"""


class MySQLRouter(Server):
    """MySQL Router. It follows the group's primary, and closes the connections to a former one."""

    def __init__(self, group: GroupReplication) -> None:
        """Describe a router for a running group."""
        self.port = free_port()
        self._group = group

    def register_members(self) -> None:
        """Store each member's id and address in the group, as MySQL Shell does."""
        rows = ", ".join(
            f"('{member.execute('SELECT @@server_uuid')}', 'id', '127.0.0.1:{member.port}', '127.0.0.1:{member.port}')"
            for member in self._group.members
        )
        columns = "mysql_server_uuid, cluster_id, label, endpoint"
        self._group.primary.execute(
            f"DELETE FROM v2_instances; INSERT INTO v2_instances ({columns}) VALUES {rows}",  # noqa: S608 - no input
            "mysql_innodb_cluster_metadata",
        )

    def _open(self, stack: ExitStack) -> None:
        self._group.primary.execute(_METADATA_SQL.format(cluster=_CLUSTER, group=GROUP_NAME))
        self.register_members()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="graphql-api-")))
        program = self._group.primary.find_program()
        assert program is not None
        tools = program.parents[1]
        keyring = [*command_of(tools / "bin/mysqlrouter_keyring"), f"--master-key-file={folder / 'master-key'}"]
        subprocess.run([*keyring, "init", folder / "keyring"], check=True)
        subprocess.run(
            [*keyring, "set", folder / "keyring", USER, "password"],
            input=PASSWORD,
            text=True,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        servers = [f"mysql://127.0.0.1:{member.port}" for member in self._group.members]
        state = {"group-replication-id": GROUP_NAME, "cluster-metadata-servers": servers}
        (folder / "state.json").write_text(json.dumps({"metadata-cache": state, "version": "1.1.0"}), "utf-8")
        configuration = _CONFIGURATION.format(
            folder=folder, plugins=tools / "lib/mysqlrouter/plugin", user=USER, cluster=_CLUSTER, port=self.port
        )
        (folder / "router.conf").write_text(configuration, "utf-8")
        self._start(stack, folder, tools / "bin/mysqlrouter")

    def _start(self, stack: ExitStack, folder: Path, program: Path) -> None:
        output = stack.enter_context((folder / "output").open("wb"))
        process = subprocess.Popen(
            [*command_of(program), f"--config={folder / 'router.conf'}"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        stack.callback(process.wait, WAIT_TIMEOUT)
        stack.callback(process.terminate)
        log = folder / "mysqlrouter.log"

        def is_ready() -> bool:
            assert process.poll() is None, (folder / "output").read_text("utf-8")
            return log.exists() and "Start accepting connections" in log.read_text("utf-8")

        wait_until(is_ready, "MySQL Router does not start")
