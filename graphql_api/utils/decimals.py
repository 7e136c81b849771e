"""Arithmetic with floats as people write them: 0.1 times 3 is 0.3, not 0.30000000000000004."""

from decimal import Context, Decimal

_EXACT = Context(prec=40)
_ROUNDED = Context(prec=15)
"""The significant digits that every float keeps."""


def to_decimal(value: float) -> Decimal:
    """Return the number with the fewest digits that is this float."""
    return Decimal(repr(value))


def multiply(value: Decimal, factor: Decimal) -> Decimal:
    """Multiply, with 40 significant digits."""
    return _EXACT.multiply(value, factor)


def divide(value: Decimal, divisor: Decimal) -> Decimal:
    """Divide, with 40 significant digits."""
    return _EXACT.divide(value, divisor)


def to_float(value: Decimal) -> float:
    """Round to 15 significant digits. What is too large is infinite."""
    return float(_ROUNDED.plus(value))
