"""Writes small dictionaries in the formats of other projects, with codes and reconstructions by their own classes.

Run:  python make_golden_dictionaries.py --dictionary-learning FOLDER --sparsify FOLDER

The folders are checkouts of github.com/saprmarks/dictionary_learning and github.com/EleutherAI/sparsify; beside them
it needs torch, numpy, einops and sae-lens, and simple-parsing and natsort for sparsify. It writes into `dictionaries`
beside it: a folder for each case, and `golden.json` with the rows `x` and for each case `code` and `reconstruction`,
but not for those that are refused.

All parameters are random, so that no two of them can be confused: no zero bias, no decoder that is the transposed
encoder, and atoms of different lengths.
"""

import argparse
import json
import os
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import torch

parser = argparse.ArgumentParser()
parser.add_argument("--dictionary-learning", type=Path, required=True)
parser.add_argument("--sparsify", type=Path, required=True)
arguments = parser.parse_args()


def package(name, folder):
    """A package without its `__init__`, which imports language models."""
    module = types.ModuleType(name)
    module.__path__ = [str(folder)]
    sys.modules[name] = module


# Without it sparsify decodes on a GPU.
os.environ["SPARSIFY_DISABLE_TRITON"] = "1"
package("dictionary_learning", arguments.dictionary_learning / "dictionary_learning")
package("dictionary_learning.trainers", arguments.dictionary_learning / "dictionary_learning/trainers")
package("sparsify", arguments.sparsify / "sparsify")

from dictionary_learning.dictionary import (  # noqa: E402
    AutoEncoder,
    AutoEncoderNew,
    GatedAutoEncoder,
    JumpReluAutoEncoder,
)
from dictionary_learning.trainers.batch_top_k import BatchTopKSAE  # noqa: E402
from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKSAE  # noqa: E402
from dictionary_learning.trainers.top_k import AutoEncoderTopK  # noqa: E402
from sae_lens import (  # noqa: E402
    SAE,
    BatchTopKTrainingSAE,
    BatchTopKTrainingSAEConfig,
    JumpReLUSAE,
    JumpReLUSAEConfig,
    JumpReLUTrainingSAE,
    JumpReLUTrainingSAEConfig,
    MatryoshkaBatchTopKTrainingSAE,
    MatryoshkaBatchTopKTrainingSAEConfig,
)
from sparsify.config import SparseCoderConfig  # noqa: E402
from sparsify.sparse_coder import SparseCoder  # noqa: E402

D, N, K = 4, 6, 2
torch.manual_seed(11)
X = torch.randn(5, D)
OUT = Path(__file__).parent / "dictionaries"
golden = {"x": X.tolist()}


def randomize(module):
    """Random parameters in the memory order that each has, and vectors that are not 0."""
    for parameter in module.parameters():
        parameter.data.copy_(torch.randn(parameter.shape))


def record(name, code, reconstruction):
    """Keeps the results."""
    assert 0 < (code != 0).sum() < code.numel(), name
    golden[name] = {"code": code.tolist(), "reconstruction": reconstruction.tolist()}


def save_learning(name, module, trainer=None):
    """As `trainSAE` does at the end of a training; one of them as most programs do, with the versions of modules."""
    folder = OUT / name
    folder.mkdir(parents=True)
    weights = module.state_dict()
    if name != "learning_new":
        weights = {key: value.cpu() for key, value in weights.items()}
    torch.save(weights, folder / "ae.pt")
    if trainer is not None:
        config = {"trainer": {"dict_class": type(module).__name__, **trainer}}
        (folder / "config.json").write_text(json.dumps(config, indent=4) + "\n")
    with torch.no_grad():
        record(name, module.encode(X), module(X))


if OUT.exists():
    shutil.rmtree(OUT)

for name, module in [
    ("learning_standard", AutoEncoder(D, N)),
    ("learning_new", AutoEncoderNew(D, N)),
    ("learning_gated", GatedAutoEncoder(D, N)),
]:
    randomize(module)
    save_learning(name, module)

for name, module, trainer in [
    ("learning_top_k", AutoEncoderTopK(D, N, K), {"k": K}),
    ("learning_batch_top_k", BatchTopKSAE(D, N, K), {"k": K}),
    ("learning_matryoshka", MatryoshkaBatchTopKSAE(D, N, K, [2, 4]), None),
]:
    randomize(module)
    module.threshold.fill_(0.7)
    save_learning(name, module, trainer)

jump = JumpReluAutoEncoder(D, N)
randomize(jump)
jump.threshold.data.abs_()
save_learning("learning_jump_relu", jump)

# Gemma Scope has no code of its own; SAELens applies its dictionaries as JumpReLUSAE without `b_dec` on the input.
scope = JumpReLUSAE(JumpReLUSAEConfig(d_in=D, d_sae=N, apply_b_dec_to_input=False))
randomize(scope)
scope.threshold.data.abs_()
(OUT / "gemma_scope").mkdir()
np.savez(OUT / "gemma_scope/params.npz", **{name: value.numpy() for name, value in scope.state_dict().items()})
with torch.no_grad():
    record("gemma_scope", scope.encode(X), scope(X))

for name, settings in [
    ("sparsify", {}),
    ("sparsify_transcoder", {"transcode": True, "skip_connection": True}),
]:
    coder = SparseCoder(D, SparseCoderConfig(num_latents=N, k=K, **settings))
    randomize(coder)
    coder.save_to_disk(OUT / name)
    if not settings:
        with torch.no_grad():
            chosen = coder.encode(X)
            code = torch.zeros(len(X), N).scatter_(1, chosen.top_indices, chosen.top_acts)
            record(name, code, coder(X).sae_out)

for name, module in [
    (
        "saelens_batch_top_k",
        BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(d_in=D, d_sae=N, k=1.5, rescale_acts_by_decoder_norm=True)),
    ),
    (
        "saelens_matryoshka",
        MatryoshkaBatchTopKTrainingSAE(
            MatryoshkaBatchTopKTrainingSAEConfig(
                d_in=D, d_sae=N, k=2, matryoshka_widths=[2, N], rescale_acts_by_decoder_norm=False
            )
        ),
    ),
    ("saelens_jump_relu", JumpReLUTrainingSAE(JumpReLUTrainingSAEConfig(d_in=D, d_sae=N))),
]:
    randomize(module)
    if hasattr(module, "topk_threshold"):
        module.topk_threshold.fill_(0.7)
    else:
        module.threshold.data.abs_()
    # The checkpoint of a training, and the model that SAELens makes of it.
    module.save_model(OUT / name)
    module.save_inference_model(OUT / "after")
    model = SAE.load_from_disk(OUT / "after")
    with torch.no_grad():
        record(name, model.encode(X), model(X))
    shutil.rmtree(OUT / "after")

# Files that are refused: a matrix the wrong way round, a backup within a training, and 4 GB in a file of 2 kB.
weights = AutoEncoder(D, N).state_dict()
for name, content in [
    ("refused_transposed", {**weights, "encoder.weight": weights["encoder.weight"].T.contiguous()}),
    ("refused_backup", {"step": 100, "ae": weights, "optimizer": {"lr": 0.1}, "norm_factor": 3.0}),
    ("refused_values", {**weights, "k": 2}),
    ("refused_expanded", {**weights, "bias": torch.zeros(1).expand(1_000_000_000)}),
]:
    (OUT / name).mkdir()
    torch.save(content, OUT / name / "ae.pt")

(OUT / "golden.json").write_text(json.dumps(golden) + "\n")
