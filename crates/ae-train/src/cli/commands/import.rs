//! `ae import`: a run from weights that were trained elsewhere.

use crate::{Result, Run, export::import::Weights};
use ae_model::Registry;

use super::{configuration_with, train};
use crate::cli::{args::ImportArgs, devices::open_for_results, output::print};

/// Makes the run, and prints how good it is.
pub fn run(args: &ImportArgs, registry: &Registry) -> Result<()> {
    let device = open_for_results(args.device.as_deref())?.device.inner();
    let weights = Weights::read(&args.weights)?;
    let settings = weights.settings()?;
    let config = configuration_with(&args.config, settings, registry)?;
    let scaling = weights.scaling()?;
    let (run, summary) =
        Run::import(config, args.out.as_deref(), &device, scaling, |model| weights.load(model, &device))?;
    print(&train::table(&summary))?;
    print(&format!("run folder: {}\n", run.folder.path().display()))
}
