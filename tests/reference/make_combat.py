"""Writes combat.npz: ComBat by neuroCombat, and of held-out subjects by neuroHarmonize.

    pip install neuroCombat==0.2.12 neuroHarmonize==2.5.2 numpy==1.26.4 pandas==2.3.3
    python tests/reference/make_combat.py

neuroCombat's iteration stops at a relative change of 1e-4; it is set to 1e-13 here, so
that what is compared is the answer and not where the iteration stopped.
"""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
from neuroHarmonize import harmonizationApply, harmonizationLearn

# The package's attribute of this name is the function, not the module.
module = importlib.import_module("neuroCombat.neuroCombat")

if __name__ == "__main__":
    module.it_sol.__defaults__ = (1e-13,)
    rng = np.random.default_rng(0)
    count, features = 40, 12
    site = np.repeat(["b", "a", "c"], [16, 14, 10])
    age, sex = rng.integers(20, 80, count).astype(float), rng.integers(0, 2, count)
    covariates = np.stack([age, sex], axis=1)
    truth = rng.normal(10, 3, features) + covariates @ rng.normal(0, [[0.05], [1]], (2, features))
    number = np.unique(site, return_inverse=True)[1]
    shift, spread = rng.normal(0, 2, (3, features)), rng.gamma(5, 0.2, (3, features))
    noise = rng.normal(0, 1, (count, features)) * spread[number]
    table = truth + shift[number] + noise
    frame = pd.DataFrame({"site": site, "age": age, "sex": sex})
    alone = module.neuroCombat(table.T, frame[["site"]], "site")["data"].T
    # Sex as a continuous column: the same model, for it is zero or one.
    both = module.neuroCombat(table.T, frame, "site", continuous_cols=["age", "sex"])["data"].T
    train = np.arange(count) % 4 != 0
    renamed = frame.rename(columns={"site": "SITE"})
    model, learned = harmonizationLearn(table[train], renamed[train].reset_index(drop=True))
    held = harmonizationApply(table[~train], renamed[~train].reset_index(drop=True), model)
    np.savez_compressed(
        Path(__file__).with_name("combat.npz"),
        features=table,
        site=site,
        covariates=covariates,
        alone=alone,
        both=both,
        train=train,
        learned=learned,
        held=held,
    )
