#!/usr/bin/env python3
"""The rows of `cargo run --example known_features -- --write FOLDER`, through SAELens, measured by SAELens' own code.

    python3 -m venv .venv && .venv/bin/pip install sae-lens==6.54.12
    cargo run --example known_features -- --methods all --steps 2000 --write runs/known
    .venv/bin/python scripts/saelens_peer.py runs/known --steps 2000

128 units, batches of 1,024, 3 active units. The trainer is that of SAELens (`train_toy_sae`): Adam with a constant
learning rate that falls to 0 over the last fifth of the steps, and its other defaults. With the coefficients of
`standard` and `gated` 3 to 4 units are active after 2,000 steps.

`--folders A B ...` measures folders in SAELens' format instead of training, such as those of `ae export`.
"""

import argparse, contextlib, io, logging, os, tempfile, time, warnings

warnings.filterwarnings("ignore")
os.environ.update(HF_HUB_OFFLINE="1", WANDB_MODE="disabled")
import numpy as np
import torch
from sae_lens import (SAE, BatchTopKTrainingSAEConfig, GatedTrainingSAEConfig, JumpReLUTrainingSAEConfig,
                      MatryoshkaBatchTopKTrainingSAEConfig, StandardTrainingSAEConfig, TopKTrainingSAEConfig)
from sae_lens.config import LoggingConfig, SAETrainerConfig
from sae_lens.saes.sae import TrainingSAE
from sae_lens.synthetic import evals
from sae_lens.training.sae_trainer import SAETrainer

logging.disable(logging.CRITICAL)
UNITS, BATCH, K = 128, 1024, 3


def batches(rows, seed):
    """The rows in a new order in each pass."""
    order = torch.Generator().manual_seed(seed)
    while True:
        for part in torch.randperm(len(rows), generator=order).split(BATCH):
            yield rows[part]


def train(config, rows, steps, seed, rate):
    torch.manual_seed(seed)
    sae = TrainingSAE.get_sae_class_for_architecture(config.architecture())(config)
    settings = SAETrainerConfig(
        total_training_samples=steps * BATCH, train_batch_size_samples=BATCH, device="cpu", autocast=False,
        lr=rate, lr_end=rate, lr_scheduler_name="constant", lr_warm_up_steps=0, lr_decay_steps=steps // 5,
        n_restart_cycles=1, adam_beta1=0.9, adam_beta2=0.999, dead_feature_window=1000, feature_sampling_window=2000,
        n_checkpoints=0, checkpoint_path=None, save_final_checkpoint=False, logger=LoggingConfig(log_to_wandb=False))
    with contextlib.redirect_stderr(io.StringIO()):
        SAETrainer(cfg=settings, sae=sae, data_provider=batches(rows, seed)).fit()
    with tempfile.TemporaryDirectory() as folder:
        sae.save_inference_model(folder)
        return SAE.load_from_disk(folder)


@torch.no_grad()
def measure(name, sae, rows, strengths, features, seconds):
    sae.eval()
    codes = sae.encode(rows)
    output = sae.decode(codes)
    l0, dead = evals.L0Calculator(), evals.DeadLatentsCalculator(len(sae.W_dec))
    shrinkage, explained = evals.ShrinkageCalculator(), evals.ExplainedVarianceCalculator()
    for calculator in (l0, dead):
        calculator.add_batch(codes)
    for calculator in (shrinkage, explained):
        calculator.add_batch(output, rows)
    found = evals.compute_classification_metrics(codes, strengths, sae.W_dec, features)
    mcc = evals.mean_correlation_coefficient(sae.W_dec, features)
    unique = evals.feature_uniqueness(sae.W_dec, features)
    print(f"{name:<14}{l0.compute():7.2f}{found.f1_score:7.3f}{mcc:7.3f}{unique:7.3f}{explained.compute():7.3f}"
          f"{shrinkage.compute():8.3f}{dead.compute():6}{seconds:9.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--l1", type=float, default=2.5, help="coefficient of standard")
    parser.add_argument("--gate", type=float, default=2.5, help="coefficient of gated")
    parser.add_argument("--l0", type=float, default=0.1, help="coefficient of jumprelu")
    parser.add_argument("--methods", default="all")
    parser.add_argument("--folders", nargs="*", default=[])
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    of = lambda name: torch.from_numpy(np.load(os.path.join(given.folder, name)))
    rows, test = of("train.npy"), (of("test.npy"), of("test_strengths.npy"), of("features.npy"))
    print(f"{'':<14}{'L0':>7}{'F1':>7}{'MCC':>7}{'uniq':>7}{'EV':>7}{'shrink':>8}{'dead':>6}{'seconds':>9}")
    for folder in given.folders:
        measure(os.path.basename(folder), SAE.load_from_disk(folder), *test, 0.0)
    if given.folders:
        return
    size = dict(d_in=rows.shape[1], d_sae=UNITS)
    for name, config in {
        "standard": StandardTrainingSAEConfig(l1_coefficient=given.l1, **size),
        "gated": GatedTrainingSAEConfig(l1_coefficient=given.gate, **size),
        "topk": TopKTrainingSAEConfig(k=K, **size),
        "batchtopk": BatchTopKTrainingSAEConfig(k=K, **size),
        "jumprelu": JumpReLUTrainingSAEConfig(
            jumprelu_sparsity_loss_mode="quadratic", target_l0=K, l0_coefficient=given.l0, jumprelu_bandwidth=0.5,
            jumprelu_init_threshold=0.3, **size),
        "matryoshka": MatryoshkaBatchTopKTrainingSAEConfig(k=K, matryoshka_widths=[32, 64, 128], **size),
    }.items():
        if not {"all", name} & set(given.methods.split(",")):
            continue
        began = time.time()
        sae = train(config, rows, given.steps, given.seed, given.rate)
        measure(name, sae, *test, time.time() - began)


main()
