"""ComBat: features of images (volumes, thicknesses, radiomics) without their site's mark."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from medjax.core.errors import InputError

from .method import Harmoniser

TOLERANCE, STEPS = 1e-10, 10_000


class ComBatState(NamedTuple):
    """What ComBat learned.

    Attributes:
        sites: ``(site,)``, names, sorted.
        mean: ``(feature,)``, over training subjects, without covariates.
        scale: ``(feature,)``, standard deviation within sites; 1 where it was zero.
        effects: ``(covariate, feature)``, of the covariates, which are preserved.
        shift: ``(site, feature)``, posterior location of a site, in units of ``scale``.
        spread: ``(site, feature)``, posterior variance of a site, in those of its square.
    """

    sites: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    effects: np.ndarray
    shift: np.ndarray
    spread: np.ndarray


def combat() -> Harmoniser:
    """Location and scale of sites by parametric empirical Bayes (Johnson et al. 2007).

    Returns:
        `fit` and `transform` of this module.
    """
    return Harmoniser(fit, transform)


def fit(
    features: np.ndarray, site: np.ndarray, covariates: np.ndarray | None = None
) -> ComBatState:
    """Estimate each site's shift and spread of each feature.

    A feature is ``mean + covariates @ effects + scale * (shift + sqrt(spread) * noise)``
    with shift and spread of the feature's site. Sites' estimates shrink to a normal and
    to an inverse gamma prior over the features, whose parameters are the estimates'
    moments; posterior modes are found by fixed-point iteration, to 1e-10 (usual
    implementations stop at a relative change of 1e-4).

    On the host in float64, whatever comes in: differences between sites are small beside
    the features, a study is a table of some thousand rows, and it is solved once.

    Args:
        features: real, ``(subject, feature)``, of training subjects alone. Features that
            do not vary within sites are left as they are.
        site: ``(subject,)``, integers or strings.
        covariates: real, ``(subject, covariate)``, what must be preserved, such as age
            and diagnosis; one column less than categories for each categorical one.

    Raises:
        InputError: for shapes that do not meet, values that are not finite, fewer than
            two sites, fewer than two subjects at one, fewer than two features that vary
            within every site, or covariates that the sites, or each other, explain.

    References:
        Johnson, Li & Rabinovic, Biostatistics 8 (2007) 118-127.
        Fortin et al., NeuroImage 167 (2018) 104-120.
    """
    y, site, x = _checked(features, site, covariates)
    sites, member = np.unique(site, return_inverse=True)
    counts = np.bincount(member)
    if len(sites) < 2:
        raise InputError("site", "at least two sites", len(sites))
    if counts.min() < 2:
        raise InputError("site", "at least two subjects a site", f"1 at {sites[counts.argmin()]}")
    design = np.concatenate([np.eye(len(sites))[member], x], axis=1)
    # Covariates in any unit, so that rank is not one of scale.
    size = np.linalg.norm(design, axis=0)
    size[size == 0] = 1
    if np.linalg.matrix_rank(design / size) < design.shape[1]:
        expected = "columns that neither sites nor each other explain"
        raise InputError("covariates", expected, f"{x.shape[1]} that are not")
    beta = np.linalg.lstsq(design / size, y, rcond=None)[0] / size[:, None]
    mean = counts @ beta[: len(sites)] / len(y)
    effects = beta[len(sites) :]
    residual = y - design @ beta
    scale = np.sqrt(np.mean(residual**2, axis=0))
    # Rounding leaves constant features a residual.
    varies = scale > 1e-12 * np.maximum(np.abs(y).max(axis=0), np.finfo(float).tiny)
    scale = np.where(varies, scale, 1)
    z = ((y - mean - x @ effects) / scale)[:, varies]
    shift, spread = np.zeros((len(sites), y.shape[1])), np.ones((len(sites), y.shape[1]))
    for number in range(len(sites)):
        own = z[member == number]
        if np.count_nonzero(np.ptp(own, axis=0)) < 2:
            what = f"at least two features that vary within site {sites[number]}"
            raise InputError("features", what, "fewer")
        shift[number, varies], spread[number, varies] = _posterior(own)
    return ComBatState(sites, mean, scale, effects, shift, spread)


def transform(
    state: ComBatState,
    features: np.ndarray,
    site: np.ndarray,
    covariates: np.ndarray | None = None,
) -> np.ndarray:
    """Take the sites' shift and spread away, of training subjects or of new ones.

    Args:
        state: from `fit`.
        features: real, ``(subject, feature)``.
        site: ``(subject,)``, each one of ``state.sites``.
        covariates: ``(subject, covariate)``, the columns that were fitted.

    Returns:
        float64, ``(subject, feature)``. A row depends on the state and on its own input.

    Raises:
        InputError: for shapes that do not meet the state's, values that are not finite,
            or a site that was not fitted.
    """
    y, site, x = _checked(features, site, covariates)
    if y.shape[1] != len(state.mean):
        raise InputError("features", f"(subject, {len(state.mean)}) as fitted", y.shape)
    if x.shape[1] != len(state.effects):
        raise InputError("covariates", f"{len(state.effects)} columns as fitted", x.shape[1])
    known = np.isin(site, state.sites)
    if not known.all():
        names = ", ".join(str(name) for name in state.sites)
        raise InputError("site", f"one that was fitted ({names})", site[~known][0])
    member = np.searchsorted(state.sites, site)
    # An einsum over one axis sums in one order for any number of rows; BLAS may not.
    preserved = state.mean + np.einsum("sc,cf->sf", x, state.effects, optimize=False)
    z = (y - preserved) / state.scale
    z = (z - state.shift[member]) / np.sqrt(state.spread[member])
    return state.scale * z + preserved


def _posterior(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posterior modes of a site's shift and spread, from its standardised features."""
    n = len(z)
    location, variance = z.mean(axis=0), z.var(axis=0, ddof=1)
    prior_mean, prior_variance = location.mean(), location.var(ddof=1)
    # Moments of an inverse gamma: rate / weight below, times the variance of variances,
    # so that features of one and the same variance are no special case.
    m, s2 = variance.mean(), variance.var(ddof=1)
    rate, weight = m * s2 + m**3, s2 * (n / 2 + 1) + m**2
    shift, spread = location, variance
    for _ in range(STEPS):
        pull = n * prior_variance + spread
        new = (n * prior_variance * location + spread * prior_mean) / pull
        squares = np.sum((z - new) ** 2, axis=0)
        wider = (s2 * squares / 2 + rate) / weight
        change = max(np.abs(new - shift).max(), np.abs(wider - spread).max())
        shift, spread = new, wider
        if change < TOLERANCE:
            break
    return shift, spread


def _checked(
    features: np.ndarray, site: np.ndarray, covariates: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    site = np.asarray(site)
    tables = {"features": features}
    if covariates is not None:
        tables["covariates"] = covariates
    for name, table in tables.items():
        table = np.asarray(table)
        if table.ndim != 2 or table.dtype.kind not in "fiub":
            raise InputError(name, "real numbers (subject, column)", f"{table.dtype} {table.shape}")
        if not np.isfinite(table).all():
            bad = np.argwhere(~np.isfinite(table))[0]
            raise InputError(name, "finite values", f"another in row {bad[0]}, column {bad[1]}")
        tables[name] = table.astype(np.float64)
    rows = len(tables["features"])
    x = tables.get("covariates", np.zeros((rows, 0)))
    if len(x) != rows:
        raise InputError("covariates", f"{rows} rows as features", len(x))
    if site.shape != (rows,) or site.dtype.kind not in "iuUS":
        expected = f"integers or strings ({rows},)"
        raise InputError("site", expected, f"{site.dtype} {site.shape}")
    return tables["features"], site, x
