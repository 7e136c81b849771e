"""The doorkeeper: a key is admitted from its second use on."""

from graphql_api.utils.doorkeeper import Doorkeeper


def test_second_use() -> None:
    """A key is admitted from its second use on, whatever its hash."""
    doorkeeper = Doorkeeper(8)
    for key in (3, -3, "text", ("a", 1)):
        assert [doorkeeper.admits(key) for _ in range(3)] == [False, True, True]


def test_latest_stays() -> None:
    """Of keys at one place the latest is remembered."""
    doorkeeper = Doorkeeper(8)
    assert [doorkeeper.admits(key) for key in (1, 2, 1, 9, 1, 2)] == [False, False, True, False, False, True]
