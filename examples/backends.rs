//! Expected: differences of at most about 1e-6 between CPU backends, and 1e-5 on a GPU; under a second on a CPU.
//!
//! One function, generic over everything that converts into a `Device`, runs on every backend that was built in.
//!
//! `cargo run --example backends --features ndarray` (or `wgpu`, `vulkan`, `metal`, `cuda`, `rocm`)

use ae_model::{Inputs, Variant};
use ae_train::device;
use burn::{
    module::Module,
    store::ModuleRecord,
    tensor::{Device, Tensor, TensorData},
};

/// Reconstructions of `inputs` (rows of 64 values) by the model in `record`, computed on `device`.
fn reconstruct<D: Into<Device>>(device: D, record: ModuleRecord, inputs: TensorData) -> Vec<f32> {
    let device = device.into();
    let recipe = (Variant::find("undercomplete").expect("undercomplete is a variant").recipe)();
    let model = recipe.init(&Inputs::unit(64), &device).load_record(record);
    let x = Tensor::<2>::from_data(inputs, &device);
    model.reconstruct(x).into_data().iter::<f32>().collect()
}

fn main() {
    let first = Device::default();
    first.seed(1);
    let recipe = (Variant::find("undercomplete").expect("undercomplete is a variant").recipe)();
    let record = recipe.init(&Inputs::unit(64), &first).into_record();
    let inputs = TensorData::new((0..64 * 16).map(|i| (i % 17) as f32 / 16.0).collect::<Vec<_>>(), [16, 64]);
    let expected = reconstruct(first, record.clone(), inputs.clone());
    println!("{:<12} largest difference from the default device", "device");
    for available in device::available() {
        let found = reconstruct(available.device, record.clone(), inputs.clone());
        let difference = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{:<12} {difference:.2e}", available.name);
    }
}
