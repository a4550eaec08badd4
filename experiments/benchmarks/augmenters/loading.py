"""How MONAI and TorchIO use all cores: threads within operations, or worker processes."""

import os

import torch

THREADS, WORKERS = "threads", "workers"


class Samples(torch.utils.data.Dataset):
    """Samples in memory, augmented when asked for."""

    def __init__(self, samples, transform):
        self.samples, self.transform = samples, transform

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.transform(self.samples[index])


def runner(samples, transform, way, tensors):
    """A function that augments all samples once.

    Workers get a sample a task, as tasks of several would leave one of them waiting at
    the end; batches are sent through shared memory, PyTorch's way.
    """
    cores = os.cpu_count()
    torch.set_num_threads(cores)
    if way == THREADS:

        def run():
            for sample in samples:
                transform(sample)
            return len(samples)

        return run
    dataset = Samples(samples * max(1, 8 // len(samples)), lambda s: tensors(transform(s)))
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=None, num_workers=cores, persistent_workers=True, prefetch_factor=4
    )

    def run():
        return sum(1 for _ in loader)

    return run
