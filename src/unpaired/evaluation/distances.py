"""How far apart two sets of pictures are, seen through feature vectors."""

from __future__ import annotations

import numpy as np

from unpaired.errors import UserError
from unpaired.evaluation.estimates import RESAMPLES, Estimate, estimate, mean_estimate
from unpaired.evaluation.features import Features
from unpaired.evaluation.metrics import Scores

GROUPS = 20  # of the jackknife


def kernel(a: Features, b: Features) -> Features:
    """(n, d), (m, d) -> (n, m): the cubic polynomial kernel (a . b / d + 1)^3."""
    values: Features = (a @ b.T / a.shape[1] + 1) ** 3
    return values


def kid(a: Features, b: Features) -> float:
    """Kernel inception distance: the unbiased estimate of the squared MMD under `kernel`.

    Raw, not times 1000. 0 is expected for two samples of one distribution, so the estimate can be
    a little below 0.

    Args: a, b: (n, d) and (m, d), of at least 2 rows each.
    Raises: ValueError for sets too small.
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


def fid_estimate(a: Features, b: Features, seed: int = 0) -> Estimate:
    """`fid` with the error of a jackknife that leaves out a twentieth of each set at a time.

    A bootstrap would be of no use: pictures drawn twice push every resampled distance up. The
    interval is the value less and plus 1.96 standard errors; it doesn't cover FID's own bias.

    Raises: UserError for too few pictures.
    """
    value = fid(a, b)
    rng = np.random.default_rng([seed, len(a), len(b)])
    group_a, group_b = (rng.permutation(len(own)) % GROUPS for own in (a, b))
    left_out = np.array(
        [
            _frechet(
                a[group_a != g].mean(0),
                np.cov(a[group_a != g], rowvar=False),
                b[group_b != g].mean(0),
                np.cov(b[group_b != g], rowvar=False),
            )
            for g in range(GROUPS)
        ]
    )
    error = float(np.sqrt((GROUPS - 1) * left_out.var()))
    return Estimate(value, value - 1.96 * error, value + 1.96 * error, error)


def precision_recall(a: Features, b: Features, k: int = 3) -> tuple[Features, Features]:
    """Improved precision and recall, picture by picture; their means are the two figures.

    A generated picture is precise if it lies within the distance of some real picture to its k-th
    nearest real neighbour; a real picture is recalled if the same holds the other way round.

    Args: a: generated (n, d); b: real (m, d).
    Returns: (n,) and (m,), 0 or 1.
    Raises: ValueError for sets of k or fewer.
    Source: Kynkäänniemi et al. 2019, eq. 1 and 2, https://arxiv.org/abs/1904.06991.
    """
    _check(a, b)
    if min(len(a), len(b)) <= k:
        raise ValueError(f"precision and recall need more than {k} pictures of each kind")
    between = _distances(a, b)
    reach_b, reach_a = (np.sort(_distances(own, own), axis=1)[:, k] for own in (b, a))
    precise = np.any(between <= reach_b[None, :], axis=1)
    recalled = np.any(between <= reach_a[:, None], axis=0)
    return np.asarray(precise, np.float64), np.asarray(recalled, np.float64)


def precision_recall_estimates(a: Features, b: Features, k: int = 3, seed: int = 0) -> Scores:
    """Both as means with a bootstrap over the pictures that are judged, the others held fixed.

    {} for sets too small.
    """
    if min(len(a), len(b)) <= k:
        return {}
    precise, recalled = precision_recall(a, b, k)
    return {"precision": mean_estimate(precise, seed), "recall": mean_estimate(recalled, seed)}


def _frechet(mean_a: Features, cov_a: Features, mean_b: Features, cov_b: Features) -> float:
    values, vectors = np.linalg.eigh(cov_a)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0)).sum()
    apart = ((mean_a - mean_b) ** 2).sum()
    return float(apart + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


def _distances(a: Features, b: Features) -> Features:
    """(n, d), (m, d) -> (n, m) Euclidean; exactly 0 on the diagonal of a set with itself."""
    squared = np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0)
    if a is b:
        np.fill_diagonal(squared, 0)
    distances: Features = np.sqrt(squared)
    return distances


def _check(a: Features, b: Features) -> None:
    if min(len(a), len(b)) < 2 or a.shape[1:] != b.shape[1:]:
        raise ValueError(
            f"distances need two sets of 2 or more vectors of one length, not {a.shape} and "
            f"{b.shape}"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("features are not finite")
