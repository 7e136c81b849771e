"""Facts that providers have wrong or out of date: a reviewed table, each with its source and the source's date.

A correction replaces the values that it names, whichever provider sends them. A value that it does not name stays, and
one that is right already needs none.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from graphql_api.domain.country import BUNDLED, CountryFigures
from graphql_api.domain.folding import fold_name

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Correction:
    """One fact about one country."""

    code: str
    field: str
    """Attribute of `CountryFigures`."""
    wrong: tuple[str | float, ...]
    """Values to replace. Texts are compared as names."""
    right: str | float
    source: str
    """Source of the right value, and its date."""

    def __str__(self) -> str:
        """Return the country and the field."""
        return f"{self.code} {self.field}"


_WORLD_BANK_2017 = "World Bank, surface area (AG.SRF.TOTL.K2), 2017"
_INSEE = "INSEE, Comparateur de territoires, 2022"

CORRECTIONS = (
    Correction("GQ", "capital", ("Malabo",), "Ciudad de la Paz", "Decree of the President, 2026-01-03; GeoNames"),
    Correction("HK", "capital", ("City of Victoria",), "Hong Kong", "GeoNames, 2026-07-28; the city's name until 1997"),
    Correction("KZ", "capital", ("Nur-Sultan", "Nursultan"), "Astana", "Constitution as amended on 2022-09-17"),
    Correction("PW", "capital", ("Melekeok",), "Ngerulmud", "Seat of the government since 2006-10-07"),
    Correction("AW", "area_km2", (193.0,), 180.0, _WORLD_BANK_2017),
    Correction("BH", "area_km2", (665.0,), 771.0, _WORLD_BANK_2017),
    Correction(
        "BT", "area_km2", (47000.0,), 38394.0, "National Statistics Bureau, Statistical Yearbook of Bhutan, 2021"
    ),
    Correction("GF", "area_km2", (91000.0,), 83534.0, _INSEE),
    # Without St. Barthélemy and St. Martin, which are listed by themselves.
    Correction("GP", "area_km2", (1780.0,), 1628.0, _INSEE),
    # Without Mayotte, which is listed by itself.
    Correction("KM", "area_km2", (2170.0,), 1861.0, _WORLD_BANK_2017),
    Correction("MO", "area_km2", (254.0,), 33.0, "Statistics and Census Service of Macao, 2023"),
    Correction("OM", "area_km2", (212460.0,), 309500.0, _WORLD_BANK_2017),
    # Without Kosovo, which is listed by itself.
    Correction("RS", "area_km2", (88361.0,), 77474.0, "CIA World Factbook, 2024"),
    Correction("SA", "area_km2", (1960582.0,), 2149690.0, _WORLD_BANK_2017),
    Correction("SX", "area_km2", (21.0,), 34.0, _WORLD_BANK_2017),
    Correction("TC", "area_km2", (430.0,), 950.0, _WORLD_BANK_2017),
    Correction("WF", "area_km2", (274.0,), 142.0, _INSEE),
)

_BY_CODE = {
    code: [correction for correction in CORRECTIONS if correction.code == code]
    for code in {correction.code for correction in CORRECTIONS}
}


def correct(figures: CountryFigures) -> tuple[CountryFigures, Sequence[Correction]]:
    """Return the figures with the right values in place of wrong ones, and the corrections that they do not need."""
    needless = []
    for correction in _BY_CODE.get(figures.code, ()):
        value = _to_comparable(getattr(figures, correction.field))
        if value in map(_to_comparable, correction.wrong):
            figures = replace(figures, **{correction.field: correction.right})  # type: ignore[arg-type] # of the field's type
        elif value == _to_comparable(correction.right):
            needless.append(correction)
    return figures, needless


@lru_cache(maxsize=8)
def log_needless_corrections(provider: str, corrections: tuple[str, ...]) -> None:
    """Log the corrections that a provider does not need, once in a process; for bundled data at debug."""
    if corrections:
        level = logging.DEBUG if provider == BUNDLED else logging.INFO
        logger.log(
            level, "%s has the right values, so these corrections were dropped: %s.", provider, ", ".join(corrections)
        )


def _to_comparable(value: str | float | None) -> str | float | None:
    return fold_name(value) if isinstance(value, str) else value
