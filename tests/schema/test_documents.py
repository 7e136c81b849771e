"""Documents are remembered by their text, within bounds, the least recently used out."""

from graphql_api.schema import documents
from graphql_api.schema.documents import Documents
from graphql_api.schema.limits import Limits
from graphql_api.schema.preparing import Preparation
from tests.schema.asking import SCHEMA


def make_document_cache() -> Documents:
    """Return a memory of documents that is empty."""
    preparation = Preparation(limits=Limits(), introspection=True)
    return Documents(SCHEMA.executable, preparation)


def test_the_same_text() -> None:
    """A text that was read before is the same document, and validated once."""
    cache = make_document_cache()
    first = cache.read("{ __typename }")
    assert cache.read("{ __typename }") is first
    assert first.problems is first.problems
    assert cache.read("{  __typename }") is not first


def test_long_texts() -> None:
    """A document over the limit is read every time."""
    cache = make_document_cache()
    text = "{ __typename }".ljust(documents._LONGEST)
    assert cache.read(text) is cache.read(text)
    assert cache.read(text + " ") is not cache.read(text + " ")


def test_number() -> None:
    """Beyond the greatest number, that which was not used for longest is forgotten."""
    cache = make_document_cache()
    parsed = [cache.read(f"{{ a{number} }}") for number in range(documents._MOST)]
    assert cache.read("{ a0 }") is parsed[0]
    cache.read("{ another }")
    assert cache.read("{ a0 }") is parsed[0]
    assert cache.read("{ a1 }") is not parsed[1]


def test_characters() -> None:
    """Beyond the greatest number of characters, likewise."""
    cache = make_document_cache()
    texts = [f"{{ a{number} }}".ljust(documents._LONGEST) for number in range(13)]
    parsed = [cache.read(text) for text in texts]
    assert cache.read(texts[12]) is parsed[12]
    assert cache.read(texts[0]) is not parsed[0]
