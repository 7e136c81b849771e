"""Documents are remembered by their text, within bounds, the least recently used out."""

from graphql_api.execution import document_cache
from graphql_api.execution.document_cache import DocumentCache
from graphql_api.execution.limits import QueryLimits
from graphql_api.execution.preparation import DocumentParser
from tests.support.schema_client import SCHEMA


def make_document_cache() -> DocumentCache:
    """Return a memory of documents that is empty."""
    preparation = DocumentParser(limits=QueryLimits(), introspection=True)
    return DocumentCache(SCHEMA.executable, preparation)


def test_the_same_text() -> None:
    """A text that was read before is the same document, and validated once."""
    cache = make_document_cache()
    first = cache.get_or_parse("{ __typename }")
    assert cache.get_or_parse("{ __typename }") is first
    assert first.validation_errors is first.validation_errors
    assert cache.get_or_parse("{  __typename }") is not first


def test_long_texts() -> None:
    """A document over the limit is read every time."""
    cache = make_document_cache()
    text = "{ __typename }".ljust(document_cache._MAX_DOCUMENT_LENGTH)
    assert cache.get_or_parse(text) is cache.get_or_parse(text)
    assert cache.get_or_parse(text + " ") is not cache.get_or_parse(text + " ")


def test_number() -> None:
    """Beyond the greatest number, that which was not used for longest is forgotten."""
    cache = make_document_cache()
    parsed = [
        cache.get_or_parse(f"{{ a{number} }}") for number in range(document_cache._MAX_DOCUMENTS)
    ]
    assert cache.get_or_parse("{ a0 }") is parsed[0]
    cache.get_or_parse("{ another }")
    assert cache.get_or_parse("{ a0 }") is parsed[0]
    assert cache.get_or_parse("{ a1 }") is not parsed[1]


def test_characters() -> None:
    """Beyond the greatest number of characters, likewise."""
    cache = make_document_cache()
    texts = [f"{{ a{number} }}".ljust(document_cache._MAX_DOCUMENT_LENGTH) for number in range(13)]
    parsed = [cache.get_or_parse(text) for text in texts]
    assert cache.get_or_parse(texts[12]) is parsed[12]
    assert cache.get_or_parse(texts[0]) is not parsed[0]
