"""Part two, queries: requests a second of this project, of other servers, and of the bare least."""

import json
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import charts, contenders
from benchmarks.contenders import BARE, NODE, OURS, PLAIN, Contender
from benchmarks.load import Body, Load, ask, is_installed, press
from benchmarks.publishing import Outcome, Say
from benchmarks.tables import table

NEW, REPEATED = f"{OURS}, new", f"{OURS}, repeated"
ROUNDS = 3
SECONDS = 2
"""Of one server under one query, in one round."""
_WARM = 1
"""Seconds of the same before the first round, so that what compiles has compiled."""
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


def run(say: Say) -> Outcome:
    """Measure everything, in about four minutes.

    Raises:
        RuntimeError: wrk is missing, or a server answers otherwise than the others.
    """
    if not is_installed():
        raise RuntimeError("Install wrk to measure (apt-get install wrk).")
    with_node = contenders.install()
    if not with_node:
        say("without Yoga, Apollo and Mercurius: install nodejs and npm to have them")
    return outcome(measure(say, with_node=with_node, rounds=ROUNDS, seconds=SECONDS))


def measure(say: Say, *, with_node: bool, rounds: int, seconds: int) -> Figures:
    """Measure each question in rounds of so many seconds a server, and take the medians."""
    found: dict[str, dict[str, list[Load]]] = {}
    server_core, load_core = contenders.cores()
    with started(server_core, with_node=with_node) as servers:
        for name, question in QUESTIONS.items():
            with _with_bare(servers, question, server_core) as all_of_them:
                bodies = {one: body_of(one, question) for one in all_of_them}
                check(all_of_them, bodies)
                loads = found[name] = {one: [] for one in all_of_them}
                for place in range(rounds + 1):
                    say(f"{question.title}, {f'round {place}' if place else 'warming up'}")
                    for one, server in all_of_them.items():
                        load = press(
                            server.url,
                            bodies[one],
                            seconds=seconds if place else _WARM,
                            pinned=load_core,
                        )
                        loads[one] += [load] if place else []
    return {
        name: {one: _median(each) for one, each in loads.items()} for name, loads in found.items()
    }


@contextmanager
def started(pinned: Sequence[str], *, with_node: bool) -> Iterator[Servers]:
    """Start all servers on the same data, but for the bare one."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours = stack.enter_context(contenders.ours(pinned))
        data = folder / "countries.json"
        everything = ours.answer(body_of(REPEATED, QUESTIONS["list"]).first())
        data.write_text(json.dumps(everything["data"]["countries"]["nodes"]), "utf-8")
        variables = {"COUNTRIES": str(data)}
        plain = stack.enter_context(contenders.asgi("plain", pinned, variables))
        servers = {PLAIN: plain, NEW: ours, REPEATED: ours}
        for name, program in NODE.items() if with_node else ():
            servers[name] = stack.enter_context(contenders.node(program, pinned, variables))
        yield servers


@contextmanager
def _with_bare(servers: Servers, question: Question, pinned: Sequence[str]) -> Iterator[Servers]:
    """Start the server that sends the bytes of one answer."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "body.json")
        path.write_bytes(servers[REPEATED].bytes(body_of(BARE, question).first()))
        with contenders.asgi("bare", pinned, {"BODY": str(path)}) as bare:
            yield {BARE: bare, **servers}


def body_of(server: str, question: Question) -> Body:
    """Return what a server is asked: it keeps no answers, or never gets the same request twice."""
    return ask(question.query, question.number, counts=server not in (REPEATED, BARE))


def check(servers: Servers, bodies: Mapping[str, Body]) -> None:
    """Make sure that every server gives the same data.

    Raises:
        RuntimeError: one does not.
    """
    expected = servers[REPEATED].answer(bodies[REPEATED].first())
    for name, server in servers.items():
        if server.answer(bodies[name].first()) != expected:
            raise RuntimeError(f"{name} answers otherwise than {OURS}.")


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
