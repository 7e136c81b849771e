"""What is remembered of the sources: it comes back as it was, and is nobody else's."""

from dataclasses import replace

import pytest

from graphql_api.sources.keeping import Memory, origin_of
from graphql_api.sources.providers import er_api, restcountries
from tests.sources.memories import HEARD, LISTED, RATED


@pytest.mark.parametrize("memory", [Memory(), Memory(countries=LISTED), Memory(rates=RATED), HEARD])
def test_round_trip(memory: Memory) -> None:
    """What is written as text is read as what it was, to the last digit."""
    assert Memory.of_texts(memory.to_texts()) == memory


def test_texts() -> None:
    """There is one text for each kind that is remembered."""
    assert list(HEARD.to_texts()) == ["countries", "rates"]
    assert list(Memory(rates=RATED).to_texts()) == ["rates"]


@pytest.mark.parametrize("text", ["", "{}", "null", '{"origin": 1}'])
def test_what_another_version_wrote(text: str, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be read is as if it were not remembered, and the log says so."""
    texts = {**HEARD.to_texts(), "rates": text}
    assert Memory.of_texts(texts) == Memory(countries=LISTED)
    assert [record.getMessage() for record in caplog.records] == [
        "What a provider said last cannot be read; it is asked anew."
    ]


def test_updated() -> None:
    """What was heard newly replaces its kind, and leaves the other one."""
    newer = replace(RATED, origin="frankfurter")
    assert HEARD.updated(Memory(rates=newer)) == Memory(countries=LISTED, rates=newer)
    assert HEARD.updated(Memory()) == HEARD


def test_origin() -> None:
    """A provider is the same whatever its key is, and another one at another URL."""
    origin = origin_of(restcountries.PROVIDER)
    assert origin_of(replace(restcountries.PROVIDER, key="k")) == origin
    assert origin_of(replace(restcountries.PROVIDER, url="https://example.org/")) != origin
    assert origin_of(replace(restcountries.PROVIDER, params={})) != origin
    assert origin_of(replace(er_api.PROVIDER, url=restcountries.PROVIDER.url)) != origin


def test_origin_tells_no_secret() -> None:
    """A secret in a URL is not in what is written down."""
    origin = origin_of(replace(er_api.PROVIDER, url="https://example.org/?key=hunter2"))
    assert "hunter2" not in origin
