"""What the headers of a domain's pictures say: which can't be used, and what to read all as."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from unpaired.data.decode import UnreadableImage, with_channels, with_dtype
from unpaired.data.opening import Encoded, path_of
from unpaired.data.picture import Pixels
from unpaired.errors import UserError

UNREADABLE_SHARE = 0.05  # above it something is wrong with the folder, not with a file
PROBED = 2000  # headers read before a start; a larger domain is sampled evenly
TOGETHER = 8  # files that are looked into at once


@dataclass(frozen=True)
class Agreed:
    """`bad` pictures and why, and the channels and dtype of the domain."""

    bad: dict[Any, str]
    channels: int
    dtype: str


def agree(
    where: str,
    sample: Sequence[Any],
    probed: Callable[[Any], tuple[int, str]],
    channels: int | None,
    name: Callable[[Any], str],
) -> Agreed:
    """Read headers, and say what the pictures of a domain are read as.

    Args:
        where: what the domain is called.
        sample: of its pictures, paths or places: those whose headers are read.
        probed: the channels and dtype of one; may raise UnreadableImage.
        channels: that are asked for; None: what most pictures have.
        name: of a picture.
    Raises: UserError if none, or over 5 % of them, can't be read.
    """

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
            f"{bad[first]}); check that they are pictures"
        )
    if len(bad) > UNREADABLE_SHARE * len(results):
        first = next(iter(bad))
        raise UserError(
            f'{len(bad)} of {len(results)} files in "{where}" can\'t be read ({name(first)}: '
            f"{bad[first]}), over {UNREADABLE_SHARE:.0%}; mend or remove them"
        )
    assert channels
    good = [dtype for key, (_, dtype) in kinds.items() if key not in bad]
    return Agreed(bad, channels, "uint16" if "uint16" in good else "uint8")


def converted(file: Encoded, pixels: Pixels, channels: int, dtype: str) -> Pixels:
    """A picture as its domain has it. Raises: UnreadableImage if its channels don't convert."""
    try:
        return with_dtype(with_channels(pixels, channels), dtype)
    except UserError as error:
        raise UnreadableImage(path_of(file), str(error).split(";")[0]) from None
