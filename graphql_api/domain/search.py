"""Search: countries whose names, codes or capitals resemble a text, best first.

The score says how they match: 1 for the whole of a name or code, from 0.9 for the start of a name, from 0.8 for the
starts of its words, and less for a name that RapidFuzz finds similar. It grows with the part of the name that matches.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple, TypeAlias

from rapidfuzz.distance.OSA import normalized_similarity
from rapidfuzz.process import extract

from graphql_api.domain.country import Country, CountryIdentity, Reference
from graphql_api.domain.folding import split_name
from graphql_api.utils.slices import end_slice

_EXACT, _PREFIX, _WORD, _FUZZY = 1.0, 0.9, 0.8, 0.8
_SPAN = 0.1
"""Difference within a kind: by the part of the name that matches, or by its weight."""
_DIGITS = 4
"""Of a score, after the decimal point."""
_MIN_SIMILARITY = 0.7
"""From 0 to 1: one edit in four letters, two in seven, three in ten."""
_NAME, _ALIAS, _CAPITAL, _OTHER_NAME, _OTHER_CAPITAL, _ABBREVIATION = 1.0, 0.9, 0.7, 0.3, 0.2, 0.1
"""Weights: how likely clients mean a name of each kind. They are English names and codes, aliases and native names,
English names of capitals, names in other languages, and aliases such as DRC."""


class Match(NamedTuple):
    """A country that a text may stand for."""

    country: Country
    score: float
    """From 0 to 1."""
    matched: str
    """The name or code, as people write it."""
    weight: float
    """Of the name. Among equal scores the heavier one comes first, then the country with more people."""


_Name: TypeAlias = tuple[str, str, str, float]
"""Words of `split_name` joined by spaces, the name as people write it, code, weight. A class takes longer."""


class SearchIndex:
    """The names of all countries of a snapshot, indexed on first use: some 20 ms each for ASCII and for other names."""

    def __init__(self, rows: Sequence[Country], reference: Reference, former: "SearchIndex | None" = None) -> None:
        """Index as much as `former` has. If the rows have the same names, its index is used."""
        self._rows = {row.code: row for row in rows}
        self._reference = reference
        self.names: dict[bool, _Names] = {}
        """The indexed names: ASCII, and others."""
        if former is not None and former.list_names() == self.list_names():
            self.names = former.names
        elif former is not None:
            for is_ascii in former.names:
                self._get_names(is_ascii=is_ascii)

    def find(self, text: str, count: int, by_code: Country | None = None) -> list[Match]:
        """Return the `count` best matches of a text, of which `by_code` is the country with that code. "" has none.

        Similar names are looked for only if there are fewer other matches. A name that is not ASCII, once folded, is
        not similar to one that is.
        """
        words = split_name(text)
        key = "".join(words)
        if not key:
            return []
        names = self._get_names(is_ascii=key.isascii())
        best = _start_with(text, by_code)
        for find in (names.find_prefixes, names.find_words, names.find_similar):
            if len(best) >= count:
                break
            self._keep_best(names, find(key, words), best)
        return sorted(best.values(), key=_get_rank)[:count]

    def find_literal(self, text: str, by_code: Country | None = None) -> list[Match]:
        """Return all countries with a name that is a text, or of which it starts the words, best first.

        Abbreviations and names in other languages than English and the country's own count only as a whole.
        """
        words = split_name(text)
        key = "".join(words)
        if not key:
            return []
        names = self._get_names(is_ascii=key.isascii())
        best = _start_with(text, by_code)
        for matches in (names.find_prefixes(key, words), names.find_words(key, words)):
            found = ((index, score) for index, score in matches if score == _EXACT or names.weights[index] >= _CAPITAL)
            self._keep_best(names, found, best)
        return sorted(best.values(), key=_get_rank)

    def _keep_best(self, names: "_Names", found: Iterable[tuple[int, float]], best: dict[str, Match]) -> None:
        """Add matches, by index and score, to the best one of each country."""
        for index, score in found:
            code, weight = names.codes[index], names.weights[index]
            known = best.get(code)
            if known is None or (known.score, known.weight) < (score, weight):
                best[code] = Match(self._rows[code], score, names.texts[index], weight)

    def _get_names(self, *, is_ascii: bool) -> "_Names":
        if is_ascii not in self.names:
            self.names[is_ascii] = _Names(
                (words, text, row.code, weight)
                for row in self._rows.values()
                for words, (text, weight) in _weigh_names(row, self._reference.get(row.code), is_ascii=is_ascii).items()
            )
        return self.names[is_ascii]

    def list_names(self) -> list[tuple[str, str, str | None]]:
        """Return what of the rows the index depends on."""
        return [(row.code, row.name, row.capital) for row in self._rows.values()]


class _Names:
    """Names by the length of their keys, which `fold_name` returns."""

    def __init__(self, names: Iterable[_Name]) -> None:
        keyed = sorted(((name[0].replace(" ", ""), *name) for name in names), key=lambda keyed: len(keyed[0]))
        end_slice()
        self._keys = [key for key, *_ in keyed]
        self.texts = [text for _, _, text, _, _ in keyed]
        end_slice()
        self.codes = [code for _, _, _, code, _ in keyed]
        self.weights = [weight for *_, weight in keyed]
        end_slice()
        # A line starts with the key, then has each word after a space: one search finds the starts of both.
        lines = [f"\n{key} {words}" if " " in words else f"\n{key}" for key, words, *_ in keyed]
        end_slice()
        self._lines = "".join(lines)
        self._starts = list(accumulate(map(len, lines), initial=0))
        """Index at which each line starts, and then that at which the last one ends."""

    def find_prefixes(self, key: str, _words: Sequence[str]) -> Iterator[tuple[int, float]]:
        """Yield index and score of each name that starts with a text, or is that text."""
        for index in self._find_lines(f"\n{key}"):
            share = len(key) / len(self._keys[index])
            yield index, _EXACT if share == 1 else round(_PREFIX + _SPAN * self.weights[index] * share, _DIGITS)

    def find_words(self, key: str, words: Sequence[str]) -> Iterator[tuple[int, float]]:
        """Yield index and score of each name of several words of which one starts with each of these, in any order."""
        longest, *others = sorted((f" {word}" for word in words), key=len, reverse=True)
        for index in self._find_lines(longest):
            line = self._lines[self._starts[index] : self._starts[index + 1]]
            if all(word in line for word in others):
                share = min(len(key) / len(self._keys[index]), 1)
                yield index, round(_WORD + _SPAN * self.weights[index] * share, _DIGITS)

    def find_similar(self, key: str, _words: Sequence[str]) -> Iterator[tuple[int, float]]:
        """Yield index and score of each name of similar letters and length."""
        start = bisect_left(self._keys, len(key) * _MIN_SIMILARITY, key=len)
        stop = bisect_right(self._keys, len(key) / _MIN_SIMILARITY, key=len)
        choices = self._keys[start:stop]
        for _, similarity, index in extract(
            key, choices, scorer=normalized_similarity, score_cutoff=_MIN_SIMILARITY, limit=None
        ):
            weight = self.weights[start + index]
            yield start + index, round(_FUZZY * similarity * (1 - _SPAN + _SPAN * weight), _DIGITS)

    def _find_lines(self, text: str) -> Iterator[int]:
        """Yield the index of each line that has a text."""
        position = self._lines.find(text)
        while position >= 0:
            next_index = bisect_right(self._starts, position)
            yield next_index - 1
            position = self._lines.find(text, self._starts[next_index])


def _weigh_names(row: Country, identity: CountryIdentity | None, *, is_ascii: bool) -> Mapping[str, tuple[str, float]]:
    """Return the names of a country and their weights, by words. Of equal names the heavier one stays."""
    end_slice()
    names = [] if row.capital is None else [(row.capital, _CAPITAL)]
    weighted: dict[str, tuple[str, float]] = {}
    if identity is not None:
        other = identity.links.load_other_names()
        for texts, words, weight in (
            (other.capitals, other.capital_words, _OTHER_CAPITAL),
            (other.names, other.words, _OTHER_NAME),
        ):
            weighted.update(
                (key, (text, weight)) for key, text in zip(words, texts, strict=True) if key.isascii() is is_ascii
            )
        names += [(native.name, _ALIAS) for native in identity.links.native_names]
        names += [(alias, _ABBREVIATION if alias.isupper() else _ALIAS) for alias in identity.aliases]
    for text, weight in (*names, (row.name, _NAME)):
        key = " ".join(split_name(text))
        if key.isascii() is is_ascii:
            weighted[key] = text, weight
    return weighted


def _start_with(text: str, by_code: Country | None) -> dict[str, Match]:
    """Return the match of the country with a code, by its alpha-2 code."""
    return {} if by_code is None else {by_code.code: Match(by_code, _EXACT, text.strip().upper(), _NAME)}


def _get_rank(match: Match) -> tuple[float, float, int, str]:
    return -match.score, -match.weight, -match.country.population, match.country.code
