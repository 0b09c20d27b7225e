"""What the headers of a domain's pictures say: which can't be used, and what to read all as."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from unpaired.data.conversions import with_channels, with_dtype
from unpaired.data.decode import UnreadableImage
from unpaired.data.images import DomainName
from unpaired.data.opening import Encoded, path_of
from unpaired.data.picture import Pixels
from unpaired.data.units import Span, Units, units_of
from unpaired.errors import UserError

UNREADABLE_SHARE = 0.05  # above it something is wrong with the folder, not with a file
NO_RANGE = "have no known range"  # ends the reason why a type was refused
PROBED = 2000  # headers read before a start; a larger domain is sampled evenly
TOGETHER = 8  # files that are looked into at once


@dataclass(frozen=True)
class Asked:
    """What is asked of a domain: its channels (None: what most pictures have), and the values that
    stand for -1 and 1 (None: those of its type)."""

    channels: int | None
    span: Span | None
    domain: DomainName


@dataclass(frozen=True)
class Agreed:
    """`bad` pictures and why, and the channels, dtype and units of the domain."""

    bad: dict[Any, str]
    channels: int
    dtype: str
    units: Units | None = None


def agree(
    where: str,
    sample: Sequence[Any],
    probed: Callable[[Any], tuple[int, str]],
    asked: Asked,
    name: Callable[[Any], str],
) -> Agreed:
    """Read headers, and say what the pictures of a domain are read as.

    Args:
        where: what the domain is called.
        sample: of its pictures, paths or places: those whose headers are read.
        probed: the channels and dtype of one; may raise UnreadableImage.
        asked: what is asked of the domain.
        name: of a picture.
    Raises: UserError if none, or over 5 % of them, can't be read, or the range doesn't fit them.
    """
    channels, domain = asked.channels, asked.domain

    def look(key: Any) -> tuple[int, str] | str:
        try:
            return probed(key)
        except UnreadableImage as error:
            return error.reason

    with ThreadPoolExecutor(TOGETHER) as pool:
        results = dict(zip(sample, pool.map(look, sample)))
    bad = {key: result for key, result in results.items() if isinstance(result, str)}
    kinds = {key: result for key, result in results.items() if not isinstance(result, str)}
    have = Counter(number for number, _ in kinds.values())
    if not channels and have:
        # grey fits in colour, not the other way round
        channels = 3 if set(have) == {1, 3} else have.most_common(1)[0][0]
    for key, (number, _) in kinds.items():
        if number != channels and {number, channels} != {1, 3}:
            bad[key] = f"it has {number} channels, not {channels}"
    if len(bad) == len(results):
        first = next(iter(bad))
        raise UserError(
            f'none of the {len(results)} files in "{where}" can be read ({name(first)}: '
            f"{bad[first]}); {_advice(bad[first], 'check that they are pictures', domain)}"
        )
    if len(bad) > UNREADABLE_SHARE * len(results):
        first = next(iter(bad))
        raise UserError(
            f'{len(bad)} of {len(results)} files in "{where}" can\'t be read ({name(first)}: '
            f"{bad[first]}), over {UNREADABLE_SHARE:.0%}; "
            + _advice(bad[first], "mend or remove them", domain)
        )
    assert channels
    good = [dtype for key, (_, dtype) in kinds.items() if key not in bad]
    units = units_of(asked.span, sorted(set(good)), domain)
    return Agreed(bad, channels, "uint16" if units or "uint16" in good else "uint8", units)


def _advice(reason: str, otherwise: str, domain: DomainName) -> str:
    if not reason.endswith(NO_RANGE):
        return otherwise
    option = f"--images.range{'-y' if domain == 'y' else ''}"
    return f"give {option} LOW HIGH (`unpaired data check` says what they hold)"


def converted(file: Encoded, pixels: Pixels, channels: int, dtype: str) -> Pixels:
    """A picture as its domain has it. Raises: UnreadableImage if its channels don't convert."""
    try:
        return with_dtype(with_channels(pixels, channels), dtype)
    except UserError as error:
        raise UnreadableImage(path_of(file), str(error).split(";")[0]) from None
