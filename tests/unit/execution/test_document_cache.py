"""DocumentCache: documents are cached by their text, within a bound of bytes."""

import gc
import itertools
import sys
import tracemalloc
from dataclasses import replace

import pytest

from graphql_api.execution import document_cache
from graphql_api.execution.compiler import Compiler
from graphql_api.execution.document import DocumentParser
from graphql_api.execution.document_cache import DocumentCache
from graphql_api.execution.engine import build_schema
from graphql_api.execution.limits import QueryLimits
from tests.support.factories import make_country
from tests.support.schema_client import SCHEMA, offline_client


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


def make_long_text(number: int) -> str:
    """Return a document of 250 tokens."""
    return f"{{ a{number}: __typename {'__typename ' * 243} }}"


def test_bytes() -> None:
    """Beyond the bound of bytes, the least recently used document is evicted."""
    cache = make_document_cache()
    size = document_cache._measure_document(make_long_text(100), cache.get_or_parse(make_long_text(100)))
    assert size == 8_000 + 250 * 1_000 + 2 * sys.getsizeof(make_long_text(100))
    cache = make_document_cache()
    count = document_cache._MAX_BYTES // size
    texts = [make_long_text(100 + number) for number in range(count + 1)]
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


DOCUMENTS = {
    "short": "{a%d:countries(first:2){nodes{code name population} totalCount}}",
    "many fields": "{a%d:countries{nodes{code name}} "
    + " ".join(f"b{number}:countries(first:{number}){{totalCount nodes{{code name}}}}" for number in range(20))
    + "}",
    "eight compiled forms": "query($a:Boolean!,$b:Boolean!,$c:Boolean!){c%d:__typename "
    + " ".join(
        f"a{number}:countries(first:{number}){{totalCount@skip(if:$a) nodes{{code@skip(if:$b) name@include(if:$c)}}}}"
        for number in range(12)
    )
    + "}",
    "many variables": f"query({' '.join(f'$v{number}:String' for number in range(50))}){{a%d:countries(filter:{{or:["
    + ",".join(f"{{code:{{eq:$v{number}}}}}" for number in range(50))
    + "]}){totalCount}}",
    "a long list": "{a%d:countries(filter:{code:{in:[" + '"A",' * 400 + "]}}){totalCount}}",
    "a long text": f'{{a%d:country(name:"{"x" * 5000}"){{name}}}}',
    "comments": "{a%d:__typename}" + "#x\n" * 500,
    "wide characters": f'{{a%d:country(name:"{"💶" * 5000}"){{name}}}}',
    "invalid": "{a%d:countries{nodes{no nothing nobody}}}",
    "no operation": "fragment a%d on Country{code}",
}


@pytest.mark.slow
@pytest.mark.parametrize("template", DOCUMENTS.values(), ids=DOCUMENTS)
async def test_memory(template: str) -> None:
    """An executed document takes at most what it counts, and at most one collected object per 100 bytes."""
    client, count = replace(offline_client([make_country("FR")]), schema=build_schema(introspection=True)), 30
    cache = client.schema.document_cache
    await client.request(template % 1_000_000)
    size_before, objects_before = cache._documents.size, len(gc.get_objects())
    tracemalloc.start()
    try:
        for number in range(count):
            for flags in itertools.product((True, False), repeat=3 if "$c:Boolean" in template else 0):
                await client.request(template % number, dict(zip("abc", flags, strict=False)))
        gc.collect()
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    counted_bytes = cache._documents.size - size_before
    assert counted_bytes >= count * 8_000
    assert held_bytes < 1.1 * counted_bytes
    assert len(gc.get_objects()) - objects_before < counted_bytes / 100
