//! Dictionaries of sparsify (EleutherAI): a folder with `cfg.json` and `sae.safetensors`.
//!
//! The code is the `k` largest values of `relu((x - b_dec) W^T + b)`, the others 0, and `x^ = f W_dec + b_dec`.

use std::path::Path;

use super::{
    config::Config,
    format::Format,
    sae::Sae,
    tensors::{Place, Tensors, renamed, same, transposed},
};
use crate::Result;

pub(super) const FORMAT: Format = Format { name: "sparsify", file: "sae.safetensors", extensions: &[], read };

const PLACES: [Place; 4] =
    [transposed("W_enc", "encoder.weight"), renamed("b_enc", "encoder.bias"), same("W_dec"), same("b_dec")];

fn read(weights: &Path) -> Result<Sae> {
    let config = Config::read(&weights.with_file_name("cfg.json"))?;
    let transcoder = "it is a transcoder whose units are chosen by their values, not by what they add to the output";
    for (key, reason) in [
        ("transcode", transcoder),
        ("skip_connection", "its output has a linear part that is not in the code"),
        ("signed", "its units are chosen by their absolute values"),
    ] {
        if config.flag(key)?.unwrap_or(false) {
            return Err(config.wrong(&format!("`{key}` is true, which cannot be read: {reason}")));
        }
    }
    match config.text("activation")? {
        None | Some("topk") => {}
        Some(other) => {
            return Err(config.wrong(&format!("`activation` is {other}, which cannot be read: it must be topk")));
        }
    }
    let Some(k) = config.integer("k")? else {
        return Err(config.wrong("`k` is missing, the number of active units"));
    };
    let tensors = Tensors::read(weights)?.placed(&PLACES, "a dictionary of sparsify", "check cfg.json beside it")?;
    config.agrees(["d_in", "num_latents"], &tensors)?;
    Ok(Sae {
        architecture: "topk",
        k: Some(k),
        by_length: false,
        is_centered: true,
        is_transcoder: false,
        tensors,
        notes: Vec::new(),
    })
}
