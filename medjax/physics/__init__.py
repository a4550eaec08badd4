"""Operators of physics, how scans sample, and solvers for their inverse problems.

What most scripts need is here; the rest is in a room a subject: `mri`, `ct`, `pet`,
`ultrasound`, `nonuniform`, `stains`, `artefacts`, `solve`, `reconstruct`, `adapters`.
"""

from medjax.core.registry import Registry

from . import adapters, artefacts, ct, mri, nonuniform, pet, reconstruct, solve, stains, ultrasound
from .difference import FiniteDifference
from .downsampling import Downsampling
from .fft import fftc, ifftc
from .fourier import Fourier
from .mri import (
    Cartesian,
    Coils,
    Sampling,
    acceleration,
    birdcage,
    calibrate,
    equispaced,
    espirit,
    gaussian_lines,
    poisson_disc,
    random_lines,
    sampled_columns,
)
from .nonuniform import NonUniformFourier
from .operator import (
    Adjoint,
    Composition,
    Gram,
    Identity,
    LinearOperator,
    Scale,
    Sum,
    from_real_pair,
    to_real_pair,
)
from .reconstruct import cg_sense, total_variation, wavelet_l1
from .solve import conjugate_gradient, fista, power_iteration, soft_threshold
from .wavelet import Wavelet

OPERATORS = Registry(
    "operators",
    {
        "identity": "medjax.physics.operator:Identity",
        "scale": "medjax.physics.operator:Scale",
        "adjoint": "medjax.physics.operator:Adjoint",
        "gram": "medjax.physics.operator:Gram",
        "composition": "medjax.physics.operator:Composition",
        "sum": "medjax.physics.operator:Sum",
        "finite_difference": "medjax.physics.difference:FiniteDifference",
        "downsampling": "medjax.physics.downsampling:Downsampling",
        "wavelet": "medjax.physics.wavelet:Wavelet",
        "fourier": "medjax.physics.fourier:Fourier",
        "nonuniform_fourier": "medjax.physics.nonuniform:NonUniformFourier",
        "toeplitz": "medjax.physics.nonuniform:Toeplitz",
        "sampling": "medjax.physics.mri.sampling:Sampling",
        "coils": "medjax.physics.mri.coils:Coils",
        "coil_mixing": "medjax.physics.mri.compression:CoilMixing",
        "soft_coils": "medjax.physics.reconstruct.compressed_sensing:SoftCoils",
        "cartesian": "medjax.physics.mri.cartesian:Cartesian",
        "field_map": "medjax.physics.mri.field:FieldMap",
        "multi_slice": "medjax.physics.mri.multislice:MultiSlice",
        "cartesian_multi_slice": "medjax.physics.mri.multislice:cartesian_multi_slice",
        "rigid_motion": "medjax.physics.mri.motion:RigidMotion",
        "shots": "medjax.physics.mri.motion:Shots",
        "motion_corrupted": "medjax.physics.mri.motion:motion_corrupted",
        "displacement": "medjax.physics.mri.displacement:Displacement",
        "parallel_beam": "medjax.physics.ct.parallel:ParallelBeam",
        "fan_beam": "medjax.physics.ct.fan:FanBeam",
        "cone_beam": "medjax.physics.ct.cone:ConeBeam",
        "pet": "medjax.physics.pet.model:PET",
        "scan_conversion": "medjax.physics.ultrasound.scan:ScanConversion",
        "delay_and_sum": "medjax.physics.ultrasound.beamform:DelayAndSum",
        "stains": "medjax.physics.stains:Stains",
    },
)

RECONSTRUCTIONS = Registry(
    "reconstructions",
    {
        "gridding": "medjax.physics.nonuniform:gridding",
        "sense": "medjax.physics.reconstruct.sense:sense",
        "cg_sense": "medjax.physics.reconstruct.sense:cg_sense",
        "grappa": "medjax.physics.mri.grappa:grappa",
        "nlinv": "medjax.physics.mri.calibration.nlinv:nlinv",
        "wavelet_l1": "medjax.physics.reconstruct.compressed_sensing:wavelet_l1",
        "l1_espirit": "medjax.physics.reconstruct.compressed_sensing:l1_espirit",
        "total_variation": "medjax.physics.reconstruct.total_variation:total_variation",
        "low_rank_sparse": "medjax.physics.reconstruct.low_rank_sparse:low_rank_sparse",
        "plug_and_play": "medjax.physics.reconstruct.denoiser_priors:plug_and_play",
        "red": "medjax.physics.reconstruct.denoiser_priors:red",
        "joint_motion": "medjax.physics.reconstruct.motion:joint_motion",
        "line_filter": "medjax.physics.reconstruct.line_filter:line_filter",
        "fbp": "medjax.physics.ct.filtered:fbp",
        "fdk": "medjax.physics.ct.filtered:fdk",
        "mlem": "medjax.physics.pet.expectation_maximisation:mlem",
        "osem": "medjax.physics.pet.expectation_maximisation:osem",
    },
)

ARTEFACTS = Registry(
    "artefacts",
    {
        "bulk_motion": "medjax.physics.artefacts.motion:bulk_motion",
        "elastic_motion": "medjax.physics.artefacts.motion:elastic_motion",
        "ghosting": "medjax.physics.artefacts.motion:ghosting",
        "truncation": "medjax.physics.artefacts.sampling:truncation",
        "aliasing": "medjax.physics.artefacts.sampling:aliasing",
        "field_inhomogeneity": "medjax.physics.artefacts.field:field_inhomogeneity",
        "bias_field": "medjax.physics.artefacts.field:bias_field",
        "central_point": "medjax.physics.artefacts.interference:central_point",
        "zipper": "medjax.physics.artefacts.interference:zipper",
        "phase_encode_noise": "medjax.physics.artefacts.interference:phase_encode_noise",
        "low_snr": "medjax.physics.artefacts.noise:low_snr",
        "speckle": "medjax.physics.artefacts.noise:speckle",
        "ring": "medjax.physics.artefacts.ct:ring",
        "beam_hardening": "medjax.physics.artefacts.ct:beam_hardening",
    },
)

__all__ = [
    "ARTEFACTS",
    "OPERATORS",
    "RECONSTRUCTIONS",
    "Adjoint",
    "Cartesian",
    "Coils",
    "Composition",
    "Downsampling",
    "FiniteDifference",
    "Fourier",
    "Gram",
    "Identity",
    "LinearOperator",
    "NonUniformFourier",
    "Sampling",
    "Scale",
    "Sum",
    "Wavelet",
    "acceleration",
    "adapters",
    "artefacts",
    "birdcage",
    "calibrate",
    "cg_sense",
    "conjugate_gradient",
    "ct",
    "equispaced",
    "espirit",
    "fftc",
    "fista",
    "from_real_pair",
    "gaussian_lines",
    "ifftc",
    "mri",
    "nonuniform",
    "pet",
    "poisson_disc",
    "power_iteration",
    "random_lines",
    "reconstruct",
    "sampled_columns",
    "soft_threshold",
    "solve",
    "stains",
    "to_real_pair",
    "total_variation",
    "ultrasound",
    "wavelet_l1",
]
