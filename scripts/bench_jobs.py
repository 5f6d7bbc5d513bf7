#!/usr/bin/env python3
"""Whole jobs beside the tools that people use for them: seconds from the start of the process to the saved model.

    python3 -m venv .venv && .venv/bin/pip install torch numpy pyod keras pythae sae-lens
    cargo build --release -p ae-train
    .venv/bin/python scripts/bench_jobs.py --ae target/release/ae [JOB...]

Jobs: `table` (PyOD's AutoEncoder), `dictionary` (SAELens' trainer, BatchTopK), `variational` (pythae's VAE), `images`
(the convolutional denoising autoencoder of Keras' examples). Each tool has its own network, batches and defaults, but
for the number of epochs, which is the same. Beside the time is how good the saved model is, on rows that neither saw:
AUROC of the anomalies, fraction of variance unexplained, squared error of an image. Ours also measures the model beside
PCA and writes a page in its time. `--sae-python` is a Python with SAELens, if that is another one.
"""

import argparse, os, subprocess, sys, tempfile, time

import numpy as np

EPOCHS = {"table": 10, "dictionary": 4, "variational": 10, "images": 10}
MEASURES = {"table": "AUROC", "dictionary": "FVU", "variational": "squared error", "images": "squared error"}
ACTIVE = 32


def write_csv(path, rows):
    names = ",".join(f"x{index}" for index in range(rows.shape[1]))
    np.savetxt(path, rows, "%.4f", ",", header=names, comments="")


def auroc(scores, is_anomaly):
    ranks = np.empty(len(scores))
    ranks[np.argsort(scores)] = np.arange(1, len(scores) + 1)
    anomalies = is_anomaly.sum()
    return (ranks[is_anomaly].sum() - anomalies * (anomalies + 1) / 2) / anomalies / (~is_anomaly).sum()


def smooth_images(random, count, features):
    """Images of 28 x 28 that twenty numbers explain, 0 to 1."""
    return (1 / (1 + np.exp(-(random.normal(size=(count, 20)) @ features) / 4))).astype("f4")


def make(job, folder):
    """The data of a job: what is trained on, and what is measured."""
    random = np.random.default_rng(0)
    at = lambda name: os.path.join(folder, name)
    if job == "table":
        # Twenty columns that are curves of three numbers; an anomaly has some columns of another row.
        curves, bends = random.normal(size=(3, 20)), random.normal(size=(3, 20))
        rows = lambda count: (lambda z: np.sin(z @ curves) + z @ bends)(random.normal(size=(count, 3)))
        train, test = (all + random.normal(0, 0.1, all.shape) for all in (rows(50_000), rows(5_000)))
        is_anomaly = np.arange(len(test)) % 10 == 0
        swapped = random.random(test.shape) < 0.25
        test = np.where(is_anomaly[:, None] & swapped, random.permutation(test), test)
        write_csv(at("train.csv"), train), write_csv(at("test.csv"), test)
        np.save(at("is_anomaly.npy"), is_anomaly)
    elif job == "dictionary":
        features = random.normal(size=(1000, 384))
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        for name, count in (("train", 100_000), ("test", 10_000)):
            strengths = (random.random((count, 1000)) < 0.02) * random.exponential(1, (count, 1000))
            np.save(at(f"{name}.npy"), (strengths @ features).astype("f4"))
    else:
        features = random.normal(size=(20, 784))
        for name, count in (("train", 20_000), ("test", 2_000)):
            images = smooth_images(random, count, features).reshape(-1, 28, 28)
            np.save(at(f"{name}.npy"), (255 * images).astype("u1"))


def of_peer(job, folder):
    """Trains and saves a peer's model, and says when: run in a process of its own."""
    at = lambda name: os.path.join(folder, name)
    epochs, done = EPOCHS[job], lambda: print(f"saved {time.time()}", flush=True)
    if job == "table":
        import joblib
        from pyod.models.auto_encoder import AutoEncoder

        rows = np.loadtxt(at("train.csv"), delimiter=",", skiprows=1, dtype="f4")
        model = AutoEncoder(epoch_num=epochs, verbose=0)
        model.fit(rows)
        joblib.dump(model, at("pyod.joblib"))
        done()
        test = np.loadtxt(at("test.csv"), delimiter=",", skiprows=1, dtype="f4")
        print("quality", auroc(model.decision_function(test), np.load(at("is_anomaly.npy"))))
    elif job == "dictionary":
        os.environ.update(HF_HUB_OFFLINE="1", WANDB_MODE="disabled")
        import torch
        from sae_lens import BatchTopKTrainingSAEConfig
        from sae_lens.config import LoggingConfig, SAETrainerConfig
        from sae_lens.saes.sae import TrainingSAE
        from sae_lens.training.sae_trainer import SAETrainer

        rows, batch = torch.from_numpy(np.load(at("train.npy"))), 1024
        config = BatchTopKTrainingSAEConfig(d_in=384, d_sae=1536, k=ACTIVE, normalize_activations="none")
        sae = TrainingSAE.get_sae_class_for_architecture(config.architecture())(config)
        steps = epochs * len(rows) // batch

        def batches():
            while True:
                yield from (rows[part] for part in torch.randperm(len(rows)).split(batch))

        settings = SAETrainerConfig(
            total_training_samples=steps * batch, train_batch_size_samples=batch, device="cpu", autocast=False,
            lr=3e-4, lr_end=3e-5, lr_scheduler_name="constant", lr_warm_up_steps=0, lr_decay_steps=steps // 5,
            n_restart_cycles=1, adam_beta1=0.9, adam_beta2=0.999, dead_feature_window=1000,
            feature_sampling_window=2000, n_checkpoints=0, checkpoint_path=None, save_final_checkpoint=False,
            logger=LoggingConfig(log_to_wandb=False))  # fmt: skip
        SAETrainer(cfg=settings, sae=sae, data_provider=batches()).fit()
        sae.save_inference_model(at("sae"))
        done()
        test = torch.from_numpy(np.load(at("test.npy")))
        with torch.no_grad():
            wrong = (sae.decode(sae.encode(test)) - test).square().sum()
        print("quality", float(wrong / (test - test.mean(0)).square().sum()))
    elif job == "variational":
        from pythae.models import VAE, VAEConfig
        from pythae.pipelines import TrainingPipeline
        from pythae.trainers import BaseTrainerConfig

        train, test = (np.load(at(f"{name}.npy"))[:, None].astype("f4") / 255 for name in ("train", "test"))
        settings = BaseTrainerConfig(output_dir=at("pythae"), num_epochs=epochs, learning_rate=1e-3,
                                     per_device_train_batch_size=128, per_device_eval_batch_size=256)  # fmt: skip
        model = VAE(VAEConfig(input_dim=(1, 28, 28), latent_dim=20))
        TrainingPipeline(training_config=settings, model=model)(train[:-2000], train[-2000:])
        done()
        import torch

        model = model.eval().cpu()
        with torch.no_grad():
            code = model.encoder(torch.from_numpy(test)).embedding
            output = model.decoder(code).reconstruction.reshape(test.shape).numpy()
        print("quality", float(np.square(output - test).sum((1, 2, 3)).mean()))
    else:
        os.environ["KERAS_BACKEND"] = "jax"
        import keras
        from keras import layers

        train, test = (np.load(at(f"{name}.npy"))[..., None].astype("f4") / 255 for name in ("train", "test"))
        noisy = lambda x, seed: np.clip(x + np.random.default_rng(seed).normal(0, 0.3, x.shape).astype("f4"), 0, 1)
        image = layers.Input((28, 28, 1))
        x = layers.Conv2D(32, 3, activation="relu", padding="same")(image)
        x = layers.MaxPooling2D(2, padding="same")(x)
        x = layers.Conv2D(32, 3, activation="relu", padding="same")(x)
        x = layers.MaxPooling2D(2, padding="same")(x)
        x = layers.Conv2DTranspose(32, 3, strides=2, activation="relu", padding="same")(x)
        x = layers.Conv2DTranspose(32, 3, strides=2, activation="relu", padding="same")(x)
        model = keras.Model(image, layers.Conv2D(1, 3, activation="sigmoid", padding="same")(x))
        model.compile(optimizer="adam", loss="binary_crossentropy")
        model.fit(noisy(train, 1), train, epochs=epochs, batch_size=128, verbose=0)
        model.save(at("model.keras"))
        done()
        np.save(at("noisy.npy"), noisy(test, 2))
        output = model.predict(noisy(test, 2), verbose=0)
        print("quality", float(np.square(output - test).sum((1, 2, 3)).mean()))


OURS = {
    "table": ["--data", "train.csv"],
    "dictionary": ["--data", "train.npy", "--variant", "batch_top_k", "--code-dim", "1536", "-s",
                   f"model.code.k={ACTIVE}", "-s", "training.batch_size=1024"],
    "variational": ["--data", "train.npy", "--variant", "variational", "--code-dim", "20"],
    "images": ["--data", "train.npy", "--variant", "denoising", "-s", "model.network.kind=conv"],
}  # fmt: skip


def of_ours(job, folder, ae):
    """Seconds, and the quality, of ours."""

    def run(*arguments):
        done = subprocess.run([ae, *arguments], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"ae {' '.join(arguments)}: {done.stderr}")

    start = time.time()
    run("train", *OURS[job], "--epochs", str(EPOCHS[job]), "--out", "run", "--progress", "none")
    seconds = time.time() - start
    at = lambda name: os.path.join(folder, name)
    if job == "table":
        run("score", "run", "--data", "test.csv", "--out", "scores.csv")
        scores = np.genfromtxt(at("scores.csv"), delimiter=",", names=True)
        return seconds, auroc(scores["score"], np.load(at("is_anomaly.npy")))
    test = np.load(at("test.npy"))
    if job == "dictionary":
        run("reconstruct", "run", "--data", "test.npy", "--out", "output.csv")
        output = np.loadtxt(at("output.csv"), delimiter=",", skiprows=1, dtype="f4")
        return seconds, np.square(output - test).sum() / np.square(test - test.mean(0)).sum()
    test = test.reshape(len(test), -1).astype("f4") / 255
    if job == "images":
        # The same noise as the peer's.
        np.save(at("noisy.npy"), np.load(at("noisy.npy")).reshape(-1, 28, 28))
        run("reconstruct", "run", "--data", "noisy.npy", "--out", "output.csv")
    else:
        run("reconstruct", "run", "--data", "test.npy", "--out", "output.csv")
    output = np.loadtxt(at("output.csv"), delimiter=",", skiprows=1, dtype="f4").reshape(len(test), -1)
    return seconds, np.square(output / (255 if output.max() > 2 else 1) - test).sum(1).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="*", help="all if none is named")
    parser.add_argument("--ae", default="target/release/ae", help="our program")
    parser.add_argument("--python", default=sys.executable, help="a Python that has what the peers need")
    parser.add_argument("--sae-python", help="a Python with SAELens; the same if it is left out")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        return of_peer(arguments.peer, os.getcwd())
    ae = os.path.abspath(arguments.ae)
    print("| job | epochs | ours, s | peer, s | ratio | quality by | ours | peer |\n|---|---|---|---|---|---|---|---|")
    for job in arguments.jobs or EPOCHS:
        python = arguments.sae_python if job == "dictionary" and arguments.sae_python else arguments.python
        with tempfile.TemporaryDirectory() as folder:
            make(job, folder)
            start = time.time()
            peer = subprocess.run([python, os.path.abspath(__file__), "--peer", job], cwd=folder, capture_output=True,
                                  text=True)  # fmt: skip
            said = dict(line.split() for line in peer.stdout.splitlines() if line.startswith(("saved ", "quality ")))
            if peer.returncode or "quality" not in said:
                sys.exit(peer.stderr)
            theirs = float(said["saved"]) - start
            seconds, quality = of_ours(job, folder, ae)
        line = [job, EPOCHS[job], f"{seconds:.1f}", f"{theirs:.1f}", f"**{theirs / seconds:.1f}**", MEASURES[job]]
        line += [f"{quality:.4f}", f"{float(said['quality']):.4f}"]
        print(f"| {' | '.join(map(str, line))} |", flush=True)


if __name__ == "__main__":
    main()
