"""Part two, queries: requests a second of this project, of other servers, and of the bare least."""

import json
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import charts, contenders
from benchmarks.contenders import BARE, NODE, OURS, PEERS, PLAIN, Contender, has_node
from benchmarks.machine import packages, program
from benchmarks.pressing import Body, Load, ask, is_installed, press
from benchmarks.publishing import Missing, Outcome, Say
from benchmarks.tables import table

NEW, REPEATED = f"{OURS}, new", f"{OURS}, repeated"
ROUNDS = 3
SECONDS = 2
"""Of one server under one query, in one round."""
_WARM = 1
"""Seconds of the same before the first round, so that what compiles has compiled."""
_STRIDE = 100_000
"""More than the requests that a server answers in a round: none comes again in the next."""
FIELDS = "code name capital region population currencyCode exchangeRate estimatedGdp flagUrl"
_PAGE = """\
query ($n: Int!) {
  countries(
    filter: { region: { eq: "Europe" }, population: { gt: $n } }
    sort: [{ field: POPULATION, direction: DESC }]
    first: 10
  ) { totalCount nodes { code name population } }
}"""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, with a number that each new request raises."""

    title: str
    query: str
    number: int


QUESTIONS: Mapping[str, Question] = {
    "list": Question(
        "All 250 countries × 9 fields",
        f"query ($n: Int!) {{ countries(first: $n) {{ nodes {{ {FIELDS} }} }} }}",
        250,
    ),
    "ten": Question(
        "10 × 3 fields", "{ countries(first: 10) { nodes { code name population } } }", 0
    ),
    "one": Question("One country by code", f'{{ country(code: "FR") {{ {FIELDS} }} }}', 0),
    "page": Question("A filtered and sorted page of 10", _PAGE, 1_000_000),
}

Servers = Mapping[str, Contender]
Figures = dict[str, dict[str, Load]]
"""By question, by the name of the server."""


def require() -> None:
    """Make sure that there is what this part needs.

    Raises:
        Missing: there is not.
    """
    if not is_installed():
        raise Missing("Install wrk to measure (apt-get install wrk).")


def versions() -> Mapping[str, str]:
    """Return the versions of what takes part."""
    python = packages("uvicorn", "uvloop", "httptools", "strawberry-graphql", "fastapi")
    named = {**python, "wrk": program("wrk", "--version")}
    if has_node():
        peers = json.loads((PEERS / "package.json").read_text("utf-8"))["dependencies"]
        named |= {"Node": program("node", "--version"), **peers}
    return named


def run(say: Say) -> Outcome:
    """Measure everything, in three minutes.

    Raises:
        RuntimeError: a server answers otherwise than the others.
    """
    if has_node():
        contenders.install()
    else:
        say("without Yoga, Apollo and Mercurius: install nodejs and npm to have them")
    return outcome(measure(say, QUESTIONS, rounds=ROUNDS, seconds=SECONDS))


def measure(say: Say, questions: Mapping[str, Question], *, rounds: int, seconds: int) -> Figures:
    """Measure each question in rounds of so many seconds a server, and take the medians."""
    server_core, load_core = contenders.cores()
    figures: Figures = {}
    with started(server_core) as servers:
        for name, question in questions.items():
            with with_bare(servers, question, server_core) as compared:
                bodies = check(compared, question)
                loads: dict[str, list[Load]] = {one: [] for one in compared}
                for place in range(rounds + 1):
                    say(f"{question.title}, {f'round {place}' if place else 'warming up'}")
                    for one, server in compared.items():
                        took = seconds if place else _WARM
                        body = bodies[one].after(place * _STRIDE)
                        load = press(server.url, body, seconds=took, pinned=load_core)
                        loads[one] += [load] if place else []
                figures[name] = {one: _median(each) for one, each in loads.items()}
    return figures


@contextmanager
def started(pinned: Sequence[str]) -> Iterator[Servers]:
    """Start all servers on the same data, but for the bare one; those on Node if there is Node."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours = stack.enter_context(contenders.ours(pinned))
        data = folder / "countries.json"
        everything = ours.answer(body_of(REPEATED, QUESTIONS["list"]).first())
        data.write_text(json.dumps(everything["data"]["countries"]["nodes"]), "utf-8")
        variables = {"COUNTRIES": str(data)}
        plain = stack.enter_context(contenders.asgi("plain", pinned, variables))
        servers = {PLAIN: plain, NEW: ours, REPEATED: ours}
        for name, program in NODE.items() if has_node() else ():
            servers[name] = stack.enter_context(contenders.node(program, pinned, variables))
        yield servers


@contextmanager
def with_bare(servers: Servers, question: Question, pinned: Sequence[str]) -> Iterator[Servers]:
    """Start the server that sends the bytes of one answer."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "body.json")
        path.write_bytes(servers[REPEATED].bytes(body_of(BARE, question).first()))
        with contenders.asgi("bare", pinned, {"BODY": str(path)}) as bare:
            yield {BARE: bare, **servers}


def body_of(server: str, question: Question) -> Body:
    """Return what a server is asked: one that may keep answers never gets the same twice."""
    return ask(question.query, question.number, counts=server not in (REPEATED, BARE))


def check(servers: Servers, question: Question) -> Mapping[str, Body]:
    """Return what each server is asked, once all of them have given the same data.

    Raises:
        RuntimeError: one has not.
    """
    bodies = {name: body_of(name, question) for name in servers}
    expected = servers[REPEATED].answer(bodies[REPEATED].first())
    for name, server in servers.items():
        if server.answer(bodies[name].first()) != expected:
            raise RuntimeError(f"{name} answers otherwise than {OURS}.")
    return bodies


def _median(loads: Sequence[Load]) -> Load:
    """Return the load of the median rate, with the medians of the times."""
    return Load(
        per_second=statistics.median(each.per_second for each in loads),
        p50_ms=statistics.median(each.p50_ms for each in loads),
        p99_ms=statistics.median(each.p99_ms for each in loads),
    )


def outcome(figures: Figures) -> Outcome:
    """Return what is published of the figures."""
    told = "\n\n".join(_table(QUESTIONS[name].title, loads) for name, loads in figures.items())
    return Outcome(
        figures={
            "seconds": SECONDS,
            "rounds": ROUNDS,
            "questions": {
                name: {one: asdict(load) for one, load in loads.items()}
                for name, loads in figures.items()
            },
        },
        told=f"{told}\n",
        chart=charts.draw(_chart(figures)),
        caption=_caption(figures),
    )


def _table(title: str, loads: Mapping[str, Load]) -> str:
    rows = [
        (
            name,
            f"{load.per_second:,.0f}",
            f"{load.p50_ms:.2f} ms",
            f"{load.p99_ms:.2f} ms",
            f"{load.per_second / loads[PLAIN].per_second:.1f}",
            f"{load.per_second / loads[BARE].per_second:.2f}",
        )
        for name, load in _fastest_first(loads)
    ]
    return table((title, "requests/s", "p50", "p99", "× Strawberry", "× bare ASGI"), rows)


def _fastest_first(loads: Mapping[str, Load]) -> list[tuple[str, Load]]:
    return sorted(loads.items(), key=lambda item: -item[1].per_second)


def _chart(figures: Figures) -> charts.Chart:
    return charts.Chart(
        title="Requests a second, one core each",
        groups=tuple(
            charts.Group(
                title=QUESTIONS[name].title,
                bars=tuple(_bar(one, load) for one, load in _fastest_first(loads)),
            )
            for name, loads in figures.items()
        ),
    )


def _bar(name: str, load: Load) -> charts.Bar:
    return charts.Bar(
        label=name,
        value=load.per_second,
        told=f"{load.per_second:,.0f}",
        strong=name.startswith(OURS),
    )


def _caption(figures: Figures) -> str:
    loads = figures["list"]
    each = ", ".join(f"{name} {load.per_second:,.0f}" for name, load in _fastest_first(loads))
    return f"Requests a second for all countries: {each}"
