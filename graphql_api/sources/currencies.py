"""Currency codes in use, and the successors of retired ones.

Source of both tables: ISO 4217, as published by its maintenance agency,
https://www.six-group.com/en/products-services/financial-information/data-standards.html.
"""

import re
from collections.abc import Iterable, Sequence

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

# List three, historic denominations: those withdrawn since 2000, each with the currency now in use.
RETIRED = dict(
    pair.split(":")
    for pair in """
    AFA:AFN ANG:XCG AON:AOA ATS:EUR AZM:AZN BEF:EUR BGL:EUR BGN:EUR BYB:BYN BYR:BYN CSD:RSD
    CUC:CUP CYP:EUR DEM:EUR ECS:USD EEK:EUR ESP:EUR FIM:EUR FRF:EUR GHC:GHS GRD:EUR HRK:EUR
    IEP:EUR ITL:EUR LTL:EUR LUF:EUR LVL:EUR MGF:MGA MRO:MRU MTL:EUR MZM:MZN NLG:EUR PTE:EUR
    ROL:RON RUR:RUB SDD:SDG SIT:EUR SKK:EUR SLL:SLE SRG:SRD STD:STN TJR:TJS TMM:TMT TPE:USD
    TRL:TRY VEB:VES VEF:VES YUM:RSD ZMK:ZMW ZWD:ZWG ZWL:ZWG ZWN:ZWG ZWR:ZWG
    """.split()  # noqa: SIM905 - a dict would be 53 lines
)
"""Successors of retired currencies, by retired code."""


def select_current_code(codes: Iterable[object], tender: Sequence[str] = ()) -> str | None:
    """Return the code that is first in `tender`, after replacing retired codes by their successors.

    If none is tender, return the first one in use. If none is in use, return the first well-formed code, which may
    be newer than the table.
    """
    stripped = [code.strip() for code in codes if isinstance(code, str)]
    candidates = [RETIRED.get(code, code) for code in stripped if is_code(code)]
    named_tender = (code for code in tender if code in candidates)
    return next(iter((*named_tender, *(code for code in candidates if code in CURRENT), *candidates)), None)


def is_code(code: str) -> bool:
    """Return whether `code` has the form of ISO 4217: three capital letters."""
    return _CODE_PATTERN.fullmatch(code) is not None
