//! `ae import`: a run from weights that were trained elsewhere.

use std::path::PathBuf;

use ae_model::Registry;
use clap::{Args, ValueHint};

use super::{configuration_with, train};
use crate::{
    Result, Run,
    cli::{
        args::ConfigArgs,
        devices::open_for_results,
        entry::{Entry, Group},
        output::{note, print},
    },
    export::{dictionaries, import::Weights},
};

/// What to import.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// safetensors file with encoder.0.weight, decoder.0.weight and so on, as `ae export` writes it and PyTorch's
    /// `state_dict` has it; or the folder of a dictionary, or its weights: SAELens (sae_weights.safetensors),
    /// dictionary_learning (ae.pt), sparsify (sae.safetensors), Gemma Scope (params.npz).
    #[arg(value_name = "WEIGHTS", value_hint = ValueHint::AnyPath)]
    pub weights: PathBuf,
    /// Folder of the run; by default a new one under runs/.
    #[arg(short, long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// Device to compute on, one that `ae devices` lists; by default the CPU.
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// The data, and what the weights do not tell: the activations (--set model.network.activation=relu), the stride
    /// of convolutions.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae export runs/undercomplete-digits-001 -o exported", "weights, as PyTorch has them"),
        ("ae import exported/model.safetensors -d digits -o imported", "a run of them"),
        ("ae import ~/trainer_0 -d ~/activations.npy -o atoms", "a run of the dictionary in this folder"),
    ];
    let about = "Make a run from weights that were trained elsewhere: PyTorch's, under the names that export writes, \
                 or a dictionary of SAELens, dictionary_learning, sparsify or Gemma Scope";
    Entry::new(Group::Train, "import", about, examples, run)
}

/// Makes the run, and prints how good it is.
fn run(args: &ImportArgs, registry: &Registry) -> Result<()> {
    let device = open_for_results(args.device.as_deref())?.device.inner();
    let out = args.out.as_deref();
    let (run, summary) = if let Some(sae) = dictionaries::read(&args.weights)? {
        sae.notes.iter().for_each(|text| note(text));
        let config = configuration_with(&args.config, sae.settings(), registry)?;
        Run::import(config, out, &device, None, |model| sae.load(model, &device))?
    } else {
        let weights = Weights::read(&args.weights)?;
        let config = configuration_with(&args.config, weights.settings()?, registry)?;
        let scaling = weights.scaling()?;
        Run::import(config, out, &device, scaling, |model| weights.load(model, &device))?
    };
    if args.json {
        return train::document(&run, &summary);
    }
    print(&train::table(&summary))?;
    print(&format!("run folder: {}\n", run.folder.path().display()))
}
