"""Named networks, a file a family."""

from medjax.core.registry import Registry

from .backbone import Backbone, Features
from .classifiers import (
    VGG,
    AlexNet,
    ConvNeXt,
    DenseNet,
    EfficientNet,
    GoogLeNet,
    MobileNet,
    ResNet,
)
from .reconstruction import (
    AUTOMAP,
    RIM,
    WISTA,
    DeepCascade,
    DeepEquilibrium,
    ISTANet,
    KIKINet,
    LearnedPrimalDual,
    MoDL,
    Postprocess,
    Sensitivities,
    VarNet,
    WISTANet,
)
from .restoration import DnCNN
from .swin import Swin
from .unet import UNet
from .vit import ViT

MODELS = Registry(
    "models",
    {
        "unet": "medjax.models.unet:UNet",
        "vit": "medjax.models.vit:ViT",
        "swin": "medjax.models.swin:Swin",
        "resnet": "medjax.models.classifiers.resnet:ResNet",
        "densenet": "medjax.models.classifiers.densenet:DenseNet",
        "efficientnet": "medjax.models.classifiers.efficientnet:EfficientNet",
        "mobilenet": "medjax.models.classifiers.mobilenet:MobileNet",
        "vgg": "medjax.models.classifiers.vgg:VGG",
        "alexnet": "medjax.models.classifiers.alexnet:AlexNet",
        "googlenet": "medjax.models.classifiers.googlenet:GoogLeNet",
        "convnext": "medjax.models.classifiers.convnext:ConvNeXt",
        "autoencoder": "medjax.models.generative.autoencoders:Autoencoder",
        "stacked_autoencoder": "medjax.models.generative.autoencoders:StackedAutoencoder",
        "vae": "medjax.models.generative.autoencoders:VAE",
        "gmvae": "medjax.models.generative.autoencoders:GMVAE",
        "vqvae": "medjax.models.generative.autoencoders:VQVAE",
        "ddpm_unet": "medjax.models.generative.diffusion_unet:DiffusionUNet",
        "swin_denoiser": "medjax.models.generative.swin_denoiser:SwinDenoiser",
        "dcgan_generator": "medjax.models.generative.dcgan:DCGANGenerator",
        "dcgan_discriminator": "medjax.models.generative.dcgan:DCGANDiscriminator",
        "patchgan": "medjax.models.generative.patchgan:PatchGAN",
        "translation_resnet": "medjax.models.generative.translation:TranslationResNet",
        "stylegan2_generator": "medjax.models.generative.stylegan2:StyleGAN2Generator",
        "stylegan2_discriminator": "medjax.models.generative.stylegan2:StyleGAN2Discriminator",
        "dncnn": "medjax.models.restoration.dncnn:DnCNN",
        "postprocess": "medjax.models.reconstruction.postprocess:Postprocess",
        "modl": "medjax.models.reconstruction.modl:MoDL",
        "deep_cascade": "medjax.models.reconstruction.deep_cascade:DeepCascade",
        "varnet": "medjax.models.reconstruction.varnet:VarNet",
        "kiki_net": "medjax.models.reconstruction.kiki_net:KIKINet",
        "rim": "medjax.models.reconstruction.rim:RIM",
        "ista_net": "medjax.models.reconstruction.ista_net:ISTANet",
        "wista": "medjax.models.reconstruction.wista:WISTA",
        "wista_net": "medjax.models.reconstruction.ista_net:WISTANet",
        "learned_primal_dual": (
            "medjax.models.reconstruction.learned_primal_dual:LearnedPrimalDual"
        ),
        "deep_equilibrium": "medjax.models.reconstruction.deep_equilibrium:DeepEquilibrium",
        "automap": "medjax.models.reconstruction.automap:AUTOMAP",
    },
)

__all__ = [
    "AUTOMAP",
    "MODELS",
    "RIM",
    "VGG",
    "WISTA",
    "AlexNet",
    "Backbone",
    "ConvNeXt",
    "DeepCascade",
    "DeepEquilibrium",
    "DenseNet",
    "DnCNN",
    "EfficientNet",
    "Features",
    "GoogLeNet",
    "ISTANet",
    "KIKINet",
    "LearnedPrimalDual",
    "MoDL",
    "MobileNet",
    "Postprocess",
    "ResNet",
    "Sensitivities",
    "Swin",
    "UNet",
    "VarNet",
    "ViT",
    "WISTANet",
]
