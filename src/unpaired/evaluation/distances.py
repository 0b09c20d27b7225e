"""How far apart two sets of pictures are, seen through feature vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unpaired.errors import UserError
from unpaired.evaluation.estimates import RESAMPLES, Estimate, estimate
from unpaired.evaluation.features import Features, finite
from unpaired.evaluation.metrics import Scores

Mask = NDArray[np.bool_]

GROUPS = 20  # of the jackknife
STUDENT = 2.093  # half of the 95% interval, in errors that 20 groups tell
SAME = 1e-6  # of two vectors' lengths; nearer ones count as copies
SMALLEST = 1e-10  # share of the largest variance below which a direction counts as empty


def kernel(a: Features, b: Features) -> Features:
    """(n, d), (m, d) -> (n, m): the cubic polynomial kernel (a . b / d + 1)^3."""
    values: Features = (a @ b.T / a.shape[1] + 1) ** 3
    return values


def kid(a: Features, b: Features) -> float:
    """Kernel inception distance: the unbiased estimate of the squared MMD under `kernel`.

    Raw, not times 1000. 0 is expected for two samples of one distribution, so the estimate can be
    a little below 0.

    Args: a, b: (n, d) and (m, d), of at least 2 rows each.
    Raises: UserError for sets too small, or with a number that is not finite.
    Source: Bińkowski et al. 2018, https://arxiv.org/abs/1801.01401, with the whole sets at once
        instead of a mean over subsets.
    """
    _check(a, b)
    return float(_weighted(a, b, np.ones((1, len(a))), np.ones((1, len(b))))[0])


def kid_estimate(a: Features, b: Features, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """`kid` with a bootstrap over the pictures of both sets.

    A picture drawn twice is never compared with itself: such pairs would make two samples of the
    same set look closer to themselves than they are, and push every resampled distance up.
    """
    _check(a, b)
    rng = np.random.default_rng([seed, len(a), len(b)])
    n, m = len(a), len(b)
    draws_a = rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)
    draws_b = rng.multinomial(m, np.full(m, 1 / m), size=resamples).astype(np.float64)
    with np.errstate(invalid="ignore"):
        values = _weighted(a, b, draws_a, draws_b)
    return estimate(kid(a, b), values)  # of tiny sets, a draw can be one picture: not finite


def _weighted(a: Features, b: Features, u: Features, v: Features) -> Features:
    """MMD^2 for rows of weights u (r, n), v (r, m), without pairs of a picture with itself."""
    aa, bb, ab = kernel(a, a), kernel(b, b), kernel(a, b)
    np.fill_diagonal(aa, 0)
    np.fill_diagonal(bb, 0)
    within_a = ((u @ aa) * u).sum(1) / (u.sum(1) ** 2 - (u**2).sum(1))
    within_b = ((v @ bb) * v).sum(1) / (v.sum(1) ** 2 - (v**2).sum(1))
    between = ((u @ ab) * v).sum(1) / (u.sum(1) * v.sum(1))
    values: Features = within_a + within_b - 2 * between
    return values


def fid_least(features: Features) -> int:
    """Fewest pictures per set for FID: as many as a feature vector has numbers.

    With fewer the covariance is singular, and the distance says more about their count than about
    the pictures (Bińkowski et al. 2018, sec. 4; Chong and Forsyth 2020).
    """
    return int(features.shape[1])


def fid(a: Features, b: Features) -> float:
    """Fréchet inception distance: |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)).

    Biased upwards, the more the fewer pictures; compare only figures of equal counts.

    Args: a, b: (n, d) and (m, d), of at least d rows each.
    Raises: UserError for fewer: KID is the distance for small sets.
    Source: Heusel et al. 2017, https://arxiv.org/abs/1706.08500.
    """
    _check(a, b)
    if (least := fid_least(a)) > min(len(a), len(b)):
        raise UserError(
            f"FID of {min(len(a), len(b))} pictures means little; it needs {least} or more per set "
            "with these features: read KID, which is unbiased"
        )
    return _frechet(a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False))


def fid_estimate(a: Features, b: Features, seed: int = 0) -> Estimate:  # noqa: ARG001
    """`fid` with the error of an infinitesimal jackknife: how much each picture weighs in it.

    A bootstrap would be of no use: pictures drawn twice push every resampled distance up. The
    interval is the value less and plus 1.96 standard errors, not below 0. It covers the FID to be
    expected of as many pictures, not that of infinitely many, which is lower.

    Args: seed: as the other estimates have one; nothing is drawn here.
    Raises: UserError for too few pictures.
    Source: Jaeckel 1972; Efron 1981, sec. 3, with the derivatives of the distance between
        Gaussians (Dowson and Landau 1982).
    """
    value = fid(a, b)
    x, y = a - a.mean(0), b - b.mean(0)
    root, inverse = _root(np.cov(x, rowvar=False))
    cross, cross_inverse = _root(root @ np.cov(y, rowvar=False) @ root)
    forth, back = inverse @ cross @ inverse, root @ cross_inverse @ root  # of optimal transport
    apart = 2 * (a.mean(0) - b.mean(0))
    share_a = x @ apart + (x**2).sum(1) - ((x @ forth) * x).sum(1)
    share_b = -y @ apart + (y**2).sum(1) - ((y @ back) * y).sum(1)
    error = float(np.sqrt(share_a.var(ddof=1) / len(a) + share_b.var(ddof=1) / len(b)))
    return Estimate(value, max(0.0, value - 1.96 * error), value + 1.96 * error, error)


def precision_recall(a: Features, b: Features, k: int = 3) -> tuple[Features, Features]:
    """Improved precision and recall, picture by picture; their means are the two figures.

    A generated picture is precise if it lies within the distance of some real picture to its k-th
    nearest real neighbour; a real picture is recalled if the same holds the other way round.

    Args: a: generated (n, d); b: real (m, d).
    Returns: (n,) and (m,), 0 or 1.
    Raises: UserError for sets of k or fewer.
    Source: Kynkäänniemi et al. 2019, eq. 1 and 2, https://arxiv.org/abs/1904.06991.
    """
    _check(a, b)
    if min(len(a), len(b)) <= k:
        raise UserError(
            f"precision and recall look at {k} neighbours of each picture; {min(len(a), len(b))} "
            f"pictures are too few, give {k + 1} or more of each kind"
        )
    between = _distances(a, b)
    return _within(between, _distances(b, b), k), _within(between.T, _distances(a, a), k)


def precision_recall_estimates(a: Features, b: Features, k: int = 3, seed: int = 0) -> Scores:
    """Both as means, with the error of a jackknife that leaves out 1/20 of each set at a time.

    A bootstrap won't do: drawn twice, a picture is its own nearest neighbour, and with neighbours
    held fixed intervals are a third to a half too short. The jackknife's are rather too long.
    The interval is Wilson's for a share, of as many independent pictures as have that error; so it
    stays within 0 and 1, and isn't empty if all pictures agree.

    Args: seed: of the parting into twentieths.
    Returns: {} for sets of k + 1 or fewer.
    Source: Shao and Wu 1989 (jackknife by groups); Wilson 1927.
    """
    if min(len(a), len(b)) < k + 2:
        return {}
    _check(a, b)
    groups = min(GROUPS, len(a), len(b))
    rng = np.random.default_rng([seed, len(a), len(b)])
    group_a, group_b = (rng.permutation(len(own)) % groups for own in (a, b))
    between, within_a, within_b = _distances(a, b), _distances(a, a), _distances(b, b)

    def shares(keep_a: Mask, keep_b: Mask) -> tuple[float, float]:
        part = between[np.ix_(keep_a, keep_b)]
        precise = _within(part, within_b[np.ix_(keep_b, keep_b)], k)
        recalled = _within(part.T, within_a[np.ix_(keep_a, keep_a)], k)
        return float(precise.mean()), float(recalled.mean())

    whole = shares(group_a >= 0, group_b >= 0)
    left_out = np.array([shares(group_a != group, group_b != group) for group in range(groups)])
    errors = np.sqrt((groups - 1) * left_out.var(axis=0))
    counts = {"precision": len(a), "recall": len(b)}
    return {
        key: _share_estimate(value, float(error), count)
        for (key, count), value, error in zip(counts.items(), whole, errors)
    }


def neighbour_distances(a: Features, b: Features, k: int = 3) -> Features:
    """(n, d), (m, d) -> (n,): each vector's mean Euclidean distance to its k nearest in `b`."""
    nearest = np.sort(_distances(a, b), axis=1)[:, :k]
    return np.asarray(nearest.mean(axis=1))


def _share_estimate(share: float, error: float, count: int) -> Estimate:
    """A share of `count` pictures with Wilson's interval."""
    chance = share * (1 - share)
    alike = max(1.0, min(count, chance / error**2)) if error > 0 and chance > 0 else count
    widened = 1 + STUDENT**2 / alike
    middle = (share + STUDENT**2 / (2 * alike)) / widened
    half = STUDENT * np.sqrt(chance / alike + (STUDENT / (2 * alike)) ** 2) / widened
    # the share itself lies within, but for rounding
    low, high = min(share, float(middle - half)), max(share, float(middle + half))
    return Estimate(share, max(0.0, low), min(1.0, high), error)


def _within(between: Features, among: Features, k: int) -> Features:
    """1 for each row of `between` (n, m) within the reach of some column, as `among` (m, m) says.

    A column's reach is the distance to its k-th nearest neighbour; `among` has 0 for itself.
    """
    reach = np.partition(among, k, axis=1)[:, k]
    return np.asarray((between <= reach).any(axis=1), np.float64)


def _frechet(mean_a: Features, cov_a: Features, mean_b: Features, cov_b: Features) -> float:
    root, _ = _root(cov_a)
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0)).sum()
    apart = ((mean_a - mean_b) ** 2).sum()
    return float(apart + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


def _root(matrix: Features) -> tuple[Features, Features]:
    """The square root of a positive matrix, and the root's pseudo-inverse."""
    values, vectors = np.linalg.eigh(matrix)
    full = values > SMALLEST * values.max()
    roots = np.sqrt(np.maximum(values, 0))
    inverse = np.where(full, 1 / np.where(full, roots, 1), 0)
    return (vectors * roots) @ vectors.T, (vectors * inverse) @ vectors.T


def _distances(a: Features, b: Features) -> Features:
    """(n, d), (m, d) -> (n, m) Euclidean; 0 where only rounding differs, as between copies."""
    a, b = a - b.mean(0), b - b.mean(0)
    scale = (a**2).sum(1)[:, None] + (b**2).sum(1)
    squared = scale - 2 * a @ b.T
    distances: Features = np.sqrt(np.where(squared > SAME**2 * scale, squared, 0))
    return distances


def _check(a: Features, b: Features) -> None:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(
            f"distances need two sets of vectors of one length, not {a.shape} and {b.shape}"
        )
    if min(len(a), len(b)) < 2:
        raise UserError(
            f"distances between sets need 2 or more pictures in each; there are {len(a)} and "
            f"{len(b)}"
        )
    for features, which in ((a, "first"), (b, "second")):
        finite(features, f"the feature net (of the {which} set)")
