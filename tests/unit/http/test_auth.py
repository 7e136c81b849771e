"""The administrator's token: only clients that send it may change data."""

import hmac
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.http.auth import ADMIN_REQUIRED, WRONG_TOKEN, AdminAccess, BearerTokens
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
    assert BearerTokens([TOKEN]).accept(header) is authorized


def test_several_tokens() -> None:
    """Each of several tokens authorizes, in constant time, and those that replace them instead of them."""
    tokens = BearerTokens(["first", "second"])
    with patch.object(hmac, "compare_digest", wraps=hmac.compare_digest) as compare:
        assert [tokens.accept(f"Bearer {token}") for token in ("first", "second", "first,second")] == [
            True,
            True,
            False,
        ]
    # Every token is compared, as digests of equal length, also after a match.
    assert [{len(operand) for operand in call.args} for call in compare.call_args_list] == [{32}] * 6
    tokens.replace(["third"])
    assert [tokens.accept(f"Bearer {token}") for token in ("first", "second", "third")] == [False, False, True]
    tokens.replace([])
    assert (tokens.accept("Bearer "), len(tokens)) == (False, 0)


@few_examples
@given(header=st.text(st.characters()))
def test_any_header(header: str) -> None:
    """Any header without the token is rejected, and none raises."""
    assert BearerTokens([TOKEN]).accept(header) is False


OWN_HOSTS = {"countries.Internal", "192.0.2.7"}


@pytest.mark.parametrize(
    ("host", "accepted"),
    [
        ("localhost", True),
        ("LOCALHOST:8000", True),
        ("localhost.", True),
        ("api.localhost:1", True),
        ("127.0.0.1:8000", True),
        ("127.1.2.3", True),
        ("[::1]:8000", True),
        ("[0:0:0:0:0:0:0:1]", True),
        ("countries.internal:8000", True),
        ("Countries.Internal.", True),
        ("192.0.2.7:80", True),
        ("", False),
        ("evil.example", False),
        ("evil.example:8000", False),
        ("localhost.evil.example", False),
        ("evil-localhost", False),
        ("127.0.0.1.evil.example", False),
        ("evil.example@localhost", False),
        ("localhost@evil.example", False),
        ("localhost/evil.example", False),
        ("localhost evil.example", False),
        ("localhost,evil.example", False),
        ("[::1]evil.example", False),
        ("[::1", False),
        ("127.0.0.1:8000:1", False),
        ("192.168.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - a Host header
        ("[::2]", False),
        ("2130706433", False),
        ("\xff", False),
    ],
)
def test_hosts(host: str, accepted: bool) -> None:
    """Without a token, data may be changed under loopback names and the server's own, whatever the credentials."""
    access = AdminAccess(BearerTokens(()), OWN_HOSTS)
    denial = access.find_denial("Bearer x", host)
    assert (denial is None) is accepted
    assert denial is None or "Without ADMIN_TOKEN" in denial


@pytest.mark.parametrize("host", ["evil.example", "localhost", ""])
def test_token_decides(host: str) -> None:
    """If a token is set, it alone decides, under any host; a wrong and a missing one have different messages."""
    access = AdminAccess(BearerTokens([TOKEN]), OWN_HOSTS)
    assert access.find_denial(f"Bearer {TOKEN}", host) is None
    assert access.find_denial(" ", host) == ADMIN_REQUIRED
    assert [access.find_denial(header, host) for header in ("Bearer wrong", TOKEN, "Basic x")] == [WRONG_TOKEN] * 3
