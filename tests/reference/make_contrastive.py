"""Write contrastive.npz: contrastive and distilling losses as other libraries compute them.

    pip install torch lightly==1.6.0 pytorch-metric-learning==2.9.0
    python tests/reference/make_contrastive.py

pytorch-metric-learning 2.9.0: NT-Xent, supervised contrastive. lightly 1.6.0: NT-Xent, MoCo's
InfoNCE (its memory bank), BYOL, DINO, iBOT, KoLeo, Sinkhorn (SwAV's). Values and gradients, in
float64 where the library allows it.
"""

from pathlib import Path

import lightly
import numpy as np
import pytorch_metric_learning
import torch
from lightly.loss import DINOLoss, IBOTPatchLoss, KoLeoLoss, NegativeCosineSimilarity, NTXentLoss
from lightly.loss.swav_loss import sinkhorn
from pytorch_metric_learning.losses import NTXentLoss as PairNTXent
from pytorch_metric_learning.losses import SupConLoss

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(0)


def draw(*shape):
    return torch.tensor(rng.standard_normal(shape), requires_grad=True)


first, second, queue = draw(6, 5), draw(6, 5), draw(9, 5)
labels = torch.tensor([0, 1, 0, 2, 1, 0])
out = {name: x.detach().numpy() for name, x in (("first", first), ("second", second))}
out |= {"queue": queue.detach().numpy(), "labels": labels.numpy()}


def keep(name, value, *wrt):
    out[name] = value.detach().numpy()
    for number, gradient in enumerate(torch.autograd.grad(value, wrt)):
        out[f"{name}_gradient{number}"] = gradient.numpy()


both, pairs = torch.cat([first, second]), torch.arange(6).repeat(2)
keep("nt_xent", PairNTXent(temperature=0.2)(both, pairs), first, second)
keep("nt_xent_lightly", NTXentLoss(temperature=0.2)(first, second), first, second)
keep("supcon", SupConLoss(temperature=0.2)(both, labels.repeat(2)), first, second)

moco = NTXentLoss(temperature=0.2, memory_bank_size=(9, 5))
moco.memory_bank.bank = torch.nn.functional.normalize(queue.detach(), dim=1)
moco.memory_bank.bank_ptr = torch.zeros(1, dtype=torch.long)
keep("moco", moco(first, second.detach()), first)
keep("byol", 2 + 2 * NegativeCosineSimilarity()(first, second.detach()), first)
keep("koleo", KoLeoLoss()(first), first)

student, teacher = draw(4, 6, 7), draw(2, 6, 7)
centre = torch.tensor(rng.standard_normal(7))
out |= {"student": student.detach().numpy(), "teacher": teacher.detach().numpy()}
out["centre"] = centre.numpy()
loss = DINOLoss(output_dim=7, student_temp=0.1, center_momentum=0.9)
loss.center = torch.nn.Parameter(centre.reshape(1, 1, 7), requires_grad=False)
keep("dino", loss(list(teacher.detach()), list(student), teacher_temp=0.05), student)
out["dino_centre"] = loss.center.detach().numpy().reshape(7)

mask = torch.zeros(3, 2, 2, dtype=torch.bool)
mask[0, 0, 1] = mask[0, 1, 1] = mask[2, 0, 0] = True
patches, seen = draw(3, 4, 7), draw(3, 4, 7)
out |= {"patches": patches.detach().numpy(), "seen": seen.detach().numpy()}
out["mask"] = mask.reshape(3, 4).numpy()
ibot = IBOTPatchLoss(output_dim=7, teacher_temp=0.05, student_temp=0.1)
ibot.center.center = torch.zeros(1, 7)
chosen = mask.reshape(3, 4)
keep("ibot", ibot(seen.detach()[chosen], patches[chosen], mask), patches)

out["sinkhorn"] = sinkhorn(
    teacher[0].detach(), iterations=3, epsilon=0.5, gather_distributed=False
).numpy()

out["versions"] = np.asarray(
    f"torch {torch.__version__}, lightly {lightly.__version__}, "
    f"pytorch-metric-learning {pytorch_metric_learning.__version__}"
)
np.savez_compressed(Path(__file__).with_name("contrastive.npz"), **out)
