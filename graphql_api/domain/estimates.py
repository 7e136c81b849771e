"""The estimated GDP, computed the same way on every replica and at every refresh."""

import hashlib
import math


def gdp_multiplier(code: str) -> int:
    """Return the multiplier of a country code, 1000 to 2000.

    It is derived from SHA-256 of the code, so no machine, version or random seed changes it.
    """
    digest = hashlib.sha256(code.encode()).digest()
    return 1000 + int.from_bytes(digest[:8], "big") % 1001


def estimated_gdp(code: str, population: int, exchange_rate: float | None) -> float | None:
    """Return population x multiplier / exchange rate, in US dollars, rounded to cents.

    None without a rate, or if the result is not a finite number.
    """
    if exchange_rate is None:
        return None
    estimate = population * gdp_multiplier(code) / exchange_rate
    return round(estimate, 2) if math.isfinite(estimate) else None
