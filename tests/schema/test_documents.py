"""Documents are remembered by their text, within bounds, the least recently used out."""

from graphql_api.schema import documents
from graphql_api.schema.documents import Documents
from graphql_api.schema.limits import Limits
from graphql_api.schema.preparing import Preparation
from tests.schema.asking import SCHEMA


def remembering() -> Documents:
    """Return a memory of documents that is empty."""
    preparation = Preparation(limits=Limits(), introspection=True)
    return Documents(SCHEMA.executable, preparation)


def test_the_same_text() -> None:
    """A text that was read before is the same document, and validated once."""
    kept = remembering()
    first = kept.read("{ __typename }")
    assert kept.read("{ __typename }") is first
    assert first.problems is first.problems
    assert kept.read("{  __typename }") is not first


def test_long_texts() -> None:
    """A document over the limit is read every time."""
    kept = remembering()
    text = "{ __typename }".ljust(documents._LONGEST)
    assert kept.read(text) is kept.read(text)
    assert kept.read(text + " ") is not kept.read(text + " ")


def test_number() -> None:
    """Beyond the greatest number, that which was not used for longest is forgotten."""
    kept = remembering()
    read = [kept.read(f"{{ a{number} }}") for number in range(documents._MOST)]
    assert kept.read("{ a0 }") is read[0]
    kept.read("{ another }")
    assert kept.read("{ a0 }") is read[0]
    assert kept.read("{ a1 }") is not read[1]


def test_characters() -> None:
    """Beyond the greatest number of characters, likewise."""
    kept = remembering()
    texts = [f"{{ a{number} }}".ljust(documents._LONGEST) for number in range(13)]
    read = [kept.read(text) for text in texts]
    assert kept.read(texts[12]) is read[12]
    assert kept.read(texts[0]) is not read[0]
