"""The administrator's token: only clients that send it may change data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.http.auth import is_authorized
from tests.support.factories import few_examples

TOKEN = "s3cret-Token"


@pytest.mark.parametrize(
    ("header", "authorized"),
    [
        ("Bearer s3cret-Token", True),
        ("bearer s3cret-Token", True),
        ("BEARER   s3cret-Token ", True),
        ("", False),
        ("Bearer", False),
        ("Bearer ", False),
        ("s3cret-Token", False),
        (" s3cret-Token", False),
        ("Basic s3cret-Token", False),
        ("Bearers3cret-Token", False),
        ("Bearer Bearer s3cret-Token", False),
        ("Bearer s3cret-Toke", False),
        ("Bearer s3cret-Token2", False),
        ("Bearer S3CRET-TOKEN", False),
        ("Bearer s3cret-Token, Bearer s3cret-Token", False),
        ("Bearer s3cret-Tokén", False),
        ("Bearer \xff\xfe", False),
        ("Bearer \ud800", False),
    ],
)
def test_token(header: str, authorized: bool) -> None:
    """Only the scheme Bearer with exactly the token authorizes."""
    assert is_authorized(header, TOKEN) is authorized


@pytest.mark.parametrize("header", ["", "Bearer anything", "Basic x", "\xff"])
def test_no_token_is_set(header: str) -> None:
    """Without a token every client is authorized."""
    assert is_authorized(header, None) is True


@few_examples
@given(header=st.text(st.characters()))
def test_any_header(header: str) -> None:
    """Any header without the token is rejected, and none raises."""
    assert is_authorized(header, TOKEN) is False
