"""Currency codes in use, and the successors of retired ones.

Source of both tables: ISO 4217, as published by its maintenance agency,
https://www.six-group.com/en/products-services/financial-information/data-standards.html.
"""

import re
from collections.abc import Iterable

_CODE_PATTERN = re.compile(r"[A-Z]{3}", re.ASCII)

# List one as published on 2026-01-01, read from iso4217 1.16.20260101 (PyPI, public domain),
# without codes that are no country's money: funds, metals, units of account, and test codes.
CURRENT = frozenset(
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN
    BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP
    GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS
    KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR
    MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD
    RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP
    TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW
    ZWG
    """.split()  # noqa: SIM905 - a list would be 155 lines
)
"""Currencies in use."""

# List three, historic denominations: those withdrawn since 2000.
RETIRED = {
    "AFA": "AFN",  # Afghan afghani before 2002
    "ANG": "XCG",  # Netherlands Antillean guilder, 2025
    "AON": "AOA",  # Angolan new kwanza, 2000
    "ATS": "EUR",  # Austrian schilling, 2002
    "AZM": "AZN",  # Azerbaijani manat before 2006
    "BEF": "EUR",  # Belgian franc, 2002
    "BGL": "EUR",  # Bulgarian hard lev, 1999, by way of the lev
    "BGN": "EUR",  # Bulgarian lev, 2026
    "BYB": "BYN",  # Belarusian ruble before 2000
    "BYR": "BYN",  # Belarusian ruble before 2016
    "CSD": "RSD",  # Serbian dinar as Serbia and Montenegro's, 2006
    "CUC": "CUP",  # Cuban convertible peso, 2021
    "CYP": "EUR",  # Cypriot pound, 2008
    "DEM": "EUR",  # German mark, 2002
    "ECS": "USD",  # Ecuadorian sucre, 2000
    "EEK": "EUR",  # Estonian kroon, 2011
    "ESP": "EUR",  # Spanish peseta, 2002
    "FIM": "EUR",  # Finnish markka, 2002
    "FRF": "EUR",  # French franc, 2002
    "GHC": "GHS",  # Ghanaian cedi before 2007
    "GRD": "EUR",  # Greek drachma, 2002
    "HRK": "EUR",  # Croatian kuna, 2023
    "IEP": "EUR",  # Irish pound, 2002
    "ITL": "EUR",  # Italian lira, 2002
    "LTL": "EUR",  # Lithuanian litas, 2015
    "LUF": "EUR",  # Luxembourg franc, 2002
    "LVL": "EUR",  # Latvian lats, 2014
    "MGF": "MGA",  # Malagasy franc, 2005
    "MRO": "MRU",  # Mauritanian ouguiya before 2018
    "MTL": "EUR",  # Maltese lira, 2008
    "MZM": "MZN",  # Mozambican metical before 2006
    "NLG": "EUR",  # Dutch guilder, 2002
    "PTE": "EUR",  # Portuguese escudo, 2002
    "ROL": "RON",  # Romanian leu before 2005
    "RUR": "RUB",  # Russian ruble before 1998
    "SDD": "SDG",  # Sudanese dinar, 2007
    "SIT": "EUR",  # Slovenian tolar, 2007
    "SKK": "EUR",  # Slovak koruna, 2009
    "SLL": "SLE",  # Sierra Leonean leone before 2022
    "SRG": "SRD",  # Surinamese guilder, 2004
    "STD": "STN",  # Sao Tome and Principe dobra before 2018
    "TJR": "TJS",  # Tajikistani ruble, 2000
    "TMM": "TMT",  # Turkmen manat before 2009
    "TPE": "USD",  # Timorese escudo, 2002
    "TRL": "TRY",  # Turkish lira before 2005
    "VEB": "VES",  # Venezuelan bolivar before 2008
    "VEF": "VES",  # Venezuelan bolivar fuerte, 2018
    "YUM": "RSD",  # Yugoslav dinar, 2003
    "ZMK": "ZMW",  # Zambian kwacha before 2013
    "ZWD": "ZWG",  # Zimbabwean dollar, to 2006
    "ZWL": "ZWG",  # Zimbabwean dollar, 2024
    "ZWN": "ZWG",  # Zimbabwean dollar, 2006 to 2008
    "ZWR": "ZWG",  # Zimbabwean dollar, 2008 to 2009
}


def select_current_code(codes: Iterable[object]) -> str | None:
    """Return the first code in use, after replacing retired codes by their successors.

    If none is in use, return the first well-formed code, which may be newer than the table.
    """
    stripped = [code.strip() for code in codes if isinstance(code, str)]
    candidates = [RETIRED.get(code, code) for code in stripped if is_code(code)]
    return next((code for code in candidates if code in CURRENT), next(iter(candidates), None))


def is_code(code: str) -> bool:
    """Return whether `code` has the form of ISO 4217: three capital letters."""
    return _CODE_PATTERN.fullmatch(code) is not None
