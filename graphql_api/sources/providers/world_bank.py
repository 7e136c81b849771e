"""The World Bank's indicators, version 2: keyless, yearly figures, CC BY 4.0.

Format: https://datahelpdesk.worldbank.org/knowledgebase/articles/898581-api-basic-call-structures. A body is a list of
a head and rows, or, also with status 200, a list of one error. About 50 rows of an indicator are of groups of
countries.
"""

from collections.abc import Mapping, Sequence

from graphql_api.sources.parsing import as_list, get_nested, parse_date, parse_json, require_records, to_printable
from graphql_api.sources.provider import Pagination, Provider, ProviderError, RawStatistic, RawStatistics

INDICATORS = {"SP.POP.TOTL": "population", "NY.GDP.MKTP.CD": "gdp", "NY.GDP.MKTP.PP.CD": "gdp_ppp"}
"""The attribute of `CountryStatistics` of each indicator."""
_NOT_A_LIST = "the body is not a list of a head and rows"
_MAX_PAGES = 20
"""Six pages of the service's default size, 50 rows, hold an indicator."""


def parse(body: bytes) -> RawStatistics:
    """Parse one page of one indicator."""
    content = as_list(parse_json(body))
    _reject_error(content)
    head, rows = content if len(content) == 2 else (None, None)  # noqa: PLR2004 - a head and rows
    pages, total = get_nested(head, "pages"), get_nested(head, "total")
    if type(pages) is not int or type(total) is not int:
        raise ProviderError(_NOT_A_LIST)
    # Without any record, the service sends null instead of rows.
    records = require_records([] if rows is None else rows, list, _NOT_A_LIST)
    return RawStatistics(
        statistics=[_parse_row(row) for row in records],
        pages=pages,
        total=total,
        as_of=parse_date(get_nested(head, "lastupdated")),
    )


def remaining_params(first_page: RawStatistics) -> list[Mapping[str, str]]:
    """Return the number of each page after the first."""
    if first_page.pages > _MAX_PAGES:
        raise ProviderError(f"the list has more than {_MAX_PAGES} pages")
    return [{"page": str(page)} for page in range(2, first_page.pages + 1)]


def join_pages(pages: Sequence[RawStatistics]) -> RawStatistics:
    """Join the pages of one indicator."""
    joined, total = _concatenate(pages), pages[0].total or 0
    if len(joined.statistics) < total:
        raise ProviderError(f"sent {len(joined.statistics)} of {to_printable(total)} records")
    return joined


def join_indicators(indicators: Sequence[RawStatistics]) -> RawStatistics:
    """Join the indicators, and require a record of each."""
    joined = _concatenate(indicators)
    sent_names = {statistic.name for statistic in joined.statistics}
    missing = [indicator for indicator, name in INDICATORS.items() if name not in sent_names]
    if missing:
        raise ProviderError(f"sent no records of {', '.join(missing)}")
    return joined


def _reject_error(content: list[object]) -> None:
    """Reject the body of an error. Its messages have an id, a key and a value."""
    for error in as_list(get_nested(next(iter(content), None), "message")):
        message = get_nested(error, "value") or get_nested(error, "key") or "no message"
        raise ProviderError(f"responded with an error: {to_printable(message, max_length=150)}")


def _concatenate(parts: Sequence[RawStatistics]) -> RawStatistics:
    """Return the records of all parts, with the date of the oldest."""
    return RawStatistics(
        statistics=[statistic for part in parts for statistic in part.statistics],
        as_of=min((part.as_of for part in parts if part.as_of is not None), default=None),
    )


def _parse_row(row: object) -> RawStatistic:
    indicator = get_nested(row, "indicator", "id")
    name = INDICATORS.get(indicator) if isinstance(indicator, str) else None
    if name is None:
        raise ProviderError(f"sent a record of {to_printable(indicator)}, which was not requested")
    country = get_nested(row, "country", "value")
    return RawStatistic(
        label=f"{country} {indicator}",
        code=get_nested(row, "country", "id"),
        name=name,
        value=get_nested(row, "value"),
        year=get_nested(row, "date"),
    )


PROVIDER = Provider(
    name="world-bank",
    url="https://api.worldbank.org/v2",
    paths=[f"/country/all/indicator/{indicator}" for indicator in INDICATORS],
    # The most recent value of each country that is not empty.
    params={"format": "json", "per_page": "1000", "mrnev": "1"},
    attribution="World Bank, World Development Indicators (https://data.worldbank.org), CC BY 4.0",
    short_attribution="World Bank (CC BY 4.0)",
    parse=parse,
    pagination=Pagination(remaining_params=remaining_params, join=join_pages),
    join=join_indicators,
)
