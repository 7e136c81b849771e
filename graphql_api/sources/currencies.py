"""Currency codes: which are well formed, and which successor replaces a retired one.

Source of the table: ISO 4217, list three (historic denominations), as its maintenance agency
publishes it, https://www.six-group.com/en/products-services/financial-information/data-standards.html.
"""

import re
from collections.abc import Iterable

_WELL_FORMED = re.compile(r"[A-Z]{3}", re.ASCII)

RETIRED = {
    "ANG": "XCG",  # Netherlands Antillean guilder, 2025
    "BGN": "EUR",  # Bulgarian lev, 2026
    "BYR": "BYN",  # Belarusian ruble before 2016
    "CUC": "CUP",  # Cuban convertible peso, 2021
    "EEK": "EUR",  # Estonian kroon, 2011
    "GHC": "GHS",  # Ghanaian cedi before 2007
    "HRK": "EUR",  # Croatian kuna, 2023
    "LTL": "EUR",  # Lithuanian litas, 2015
    "LVL": "EUR",  # Latvian lats, 2014
    "MRO": "MRU",  # Mauritanian ouguiya before 2018
    "MZM": "MZN",  # Mozambican metical before 2006
    "SDD": "SDG",  # Sudanese dinar, 2007
    "SKK": "EUR",  # Slovak koruna, 2009
    "SLL": "SLE",  # Sierra Leonean leone before 2022
    "STD": "STN",  # Sao Tome and Principe dobra before 2018
    "TMM": "TMT",  # Turkmen manat before 2009
    "TRL": "TRY",  # Turkish lira before 2005
    "VEB": "VES",  # Venezuelan bolivar before 2008
    "VEF": "VES",  # Venezuelan bolivar fuerte, 2018
    "ZMK": "ZMW",  # Zambian kwacha before 2013
    "ZWD": "ZWG",  # Zimbabwean dollar, to 2009
    "ZWL": "ZWG",  # Zimbabwean dollar, 2024
}


def first_in_use(codes: Iterable[object]) -> str | None:
    """Return the first well-formed code, a retired one as its successor; None without any."""
    for code in codes:
        if isinstance(code, str) and is_code(code.strip()):
            return RETIRED.get(code.strip(), code.strip())
    return None


def is_code(code: str) -> bool:
    """Tell whether `code` looks like ISO 4217: three capital letters."""
    return _WELL_FORMED.fullmatch(code) is not None
