"""DocumentCache: documents are cached by their text, within a bound of bytes."""

from graphql_api.execution import document_cache
from graphql_api.execution.compiler import Compiler
from graphql_api.execution.document import DocumentParser
from graphql_api.execution.document_cache import DocumentCache
from graphql_api.execution.limits import QueryLimits
from tests.support.schema_client import SCHEMA

LONGEST = 20_000
"""Characters of the longest document within the limits."""


def make_document_cache() -> DocumentCache:
    """Return an empty cache."""
    return DocumentCache(
        DocumentParser(
            schema=SCHEMA.executable,
            compiler=Compiler(SCHEMA.executable, SCHEMA.config),
            limits=QueryLimits(),
            introspection=True,
        )
    )


def test_the_same_text() -> None:
    """A cached text returns the same document, measured and validated once."""
    cache = make_document_cache()
    first = cache.get_or_parse("{ __typename }")
    assert "{ __typename }" in cache
    assert cache.get_or_parse("{ __typename }") is first
    operation = first.get_operation(None)
    assert operation.cost is operation.cost
    assert first.validate(operation) is first.validate(operation)
    assert cache.get_or_parse("{  __typename }") is not first


def test_bytes() -> None:
    """Beyond the bound of bytes, the least recently used document is evicted."""
    cache = make_document_cache()
    size = document_cache._BYTES_PER_DOCUMENT + document_cache._BYTES_PER_CHARACTER * LONGEST
    count = document_cache._MAX_BYTES // size
    texts = [f"{{ a{number} }}".ljust(LONGEST) for number in range(count + 1)]
    parsed = [cache.get_or_parse(text) for text in texts[:count]]
    assert cache.get_or_parse(texts[0]) is parsed[0]
    cache.get_or_parse(texts[count])
    assert [text in cache for text in texts] == [True, False, *[True] * (count - 1)]


def test_small_documents() -> None:
    """Each document counts with a fixed size, so that small ones are bounded too."""
    cache = make_document_cache()
    count = document_cache._MAX_BYTES // document_cache._BYTES_PER_DOCUMENT
    for number in range(count):
        cache.get_or_parse(f"{{a{number}}}")
    assert "{a0}" not in cache
    assert f"{{a{count - 1}}}" in cache
