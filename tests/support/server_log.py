"""Log lines of a server on a terminal, and their masked form."""

import re
import signal

from graphql_api import __version__

NO_DATABASE = (
    "The database at sqlite:///diary failed: file is not a database; "
    "DATABASE_URL must name a SQLite file that can be opened."
)


def mask_log(log: str) -> str:
    """Return log lines without what differs from run to run: times, ids, durations, ports and slow requests."""
    log = re.sub(r"^\S+ WARNING Request .* ms\n", "", log, flags=re.MULTILINE)
    log = re.sub(r"^\d\d:\d\d:\d\d", "TIME", log, flags=re.MULTILINE)
    log = re.sub(r"(Refresh|Request) [0-9a-f]{32}", r"\1 ID", log)
    log = re.sub(r"countries \d+, rates \d+, statistics \d+", "countries N, rates N, statistics N", log)
    log = re.sub(r"\d+ ms", "N ms", log)
    return re.sub(r"127\.0\.0\.1:\d+", "HERE", log)


REQUESTED = "TIME INFO    Request ID from 127.0.0.1 requests a refresh.\n"
NEEDLESS_CORRECTIONS = (
    "TIME INFO    geonames has the right values, so these corrections were dropped: GQ capital, HK capital.\n"
)


def refresh_line(counts: str, sources: str, warning: str = "") -> str:
    """Return the line that tells of a refresh, masked."""
    return (
        f"TIME {'WARNING' if warning else 'INFO   '} Refresh ID: {warning}250 countries ({counts}), {sources}; "
        "fetch N ms (countries N, rates N, statistics N), transform N ms, upsert N ms, image N ms in parallel, "
        "total N ms\n"
    )


MIGRATED = "TIME INFO    Migrated the database at sqlite:///var/countries.db\n"
FILLED = refresh_line(
    "250 new, 0 changed, 0 unchanged", "countries from bundled, rates from bundled, statistics from bundled"
)
GREETING = (
    f"TIME INFO    graphql-api {__version__} serves http://HERE, playground http://HERE/graphql, "
    "database sqlite:///var/countries.db (Ctrl-C stops)\n"
)


def stopping_line(signum: signal.Signals) -> str:
    """Return the last line of a server that a signal stops, masked."""
    return f"TIME INFO    Stopping: received {signum.name}.\n"
