"""Networks that restore images: what is noise, blur or lost resolution in them."""

from .arbitrary_scale import LIIF, NExpR
from .attention_denoiser import AttentionDenoiser
from .backbone_unet import BackboneUNet
from .cncl import CNCL
from .cvmidnet import CVMIDNet
from .degrader import Degrader
from .dncnn import DnCNN
from .edsr import EDSR, RRDBNet
from .eformer import Eformer
from .fuzzy_attention import FuzzyAttentionSR
from .mamba_ir import MambaIR
from .mirn import MIRN
from .pair_discriminator import PairDiscriminator
from .pyramidal_distillation import PyramidalDistillation
from .residual_in_residual import RWMAN, RIRGenerator
from .sg_srnet import SGSRNet
from .spach_transformer import SpachTransformer
from .srcnn import SRCNN
from .srdensenet import SRDenseNet
from .strunet import StruNet
from .texture_transformer import TextureTransformer
from .three_stage import ThreeStageSR
from .vectorial_variation import VectorialVariationFilter
from .wavelet_sr import WaveletSR

__all__ = [
    "CNCL",
    "EDSR",
    "LIIF",
    "MIRN",
    "RWMAN",
    "SRCNN",
    "AttentionDenoiser",
    "BackboneUNet",
    "CVMIDNet",
    "Degrader",
    "DnCNN",
    "Eformer",
    "FuzzyAttentionSR",
    "MambaIR",
    "NExpR",
    "PairDiscriminator",
    "PyramidalDistillation",
    "RIRGenerator",
    "RRDBNet",
    "SGSRNet",
    "SRDenseNet",
    "SpachTransformer",
    "StruNet",
    "TextureTransformer",
    "ThreeStageSR",
    "VectorialVariationFilter",
    "WaveletSR",
]
