use burn::tensor::{Device, Tensor};

use super::*;
use crate::{Activation, activate, conv_transpose2d, conv2d, layer_jacobian_norm2, linear, matmul, units};

#[test]
fn mismatched_shapes_panic() {
    use burn::optim::Optimizer;
    let device = Device::flex();
    let refused = |work: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err();
    let zeros = |length: usize| Tensor::<1>::zeros([length], &device);
    // Kept alive, so that the optimizer writes to a new buffer.
    let parameters = zeros(4);
    assert!(refused(&|| drop(crate::Adam::default().step(1e-3, parameters.clone(), zeros(2), None))));
    let (_, state) = crate::Adam::default().step(1e-3, zeros(2), zeros(2), None);
    assert!(refused(&|| drop(crate::Adam::default().step(1e-3, parameters.clone(), zeros(4), state.clone()))));
    let images = |shape| Tensor::<4>::zeros(shape, &device);
    let weight = || images([2, 2, 3, 3]);
    assert!(refused(&|| drop(conv2d(images([1, 1, 4, 4]), weight(), None, 1, 1, Activation::Relu))));
    assert!(refused(&|| drop(conv_transpose2d(images([1, 1, 4, 4]), weight(), None, 1, 1, [0, 0], Activation::Relu))));
    let matrix = |shape: [usize; 2]| Tensor::<2>::zeros(shape, &device);
    assert!(refused(&|| drop(matmul(matrix([1024, 1000]), matrix([1001, 1024])))));
    assert!(refused(&|| drop(activate(Activation::LeakyRelu(-0.1), zeros(3)))));
    // And the threads still work.
    assert_eq!(numbers(matmul(matrix([512, 512]), matrix([512, 512]))), vec![0.0; 512 * 512]);
}

/// The fingerprint that [`results_do_not_depend_on_the_number_of_threads`] compares: of all kernels that sum over a
/// batch.
fn fingerprint() -> u64 {
    let device = seeded(13);
    let (x, w, b) = (random([512, 96], &device), random([96, 160], &device), random([160], &device));
    let (images, kernel) = (random([300, 3, 12, 12], &device), random([8, 3, 3, 3], &device));
    let layer = with_gradients(&[x, w], |t| linear(t[0].clone(), t[1].clone(), b.clone(), Activation::Tanh));
    let conv = with_gradients(&[images, kernel], |t| conv2d(t[0].clone(), t[1].clone(), None, 2, 1, Activation::Elu));
    let h = random([512, 300], &device).mul_scalar(0.1);
    let contraction = with_gradients(&[h, random([700, 300], &device)], |t| {
        layer_jacobian_norm2(&t[0], &t[1], Activation::Sigmoid).expect("a kernel")
    });
    let bias = with_gradients(&[random([1, 160], &device)], |t| {
        linear(
            random([512, 96], &seeded(14)),
            random([96, 160], &seeded(15)),
            t[0].clone().flatten(0, 1),
            Activation::Sigmoid,
        )
    });
    let sloped = with_gradients(&[random([512, 96], &device), random([96, 160], &device)], |t| {
        linear(t[0].clone(), t[1].clone(), b.clone(), Activation::Gelu)
    });
    let all = units(&random([700, 300], &device).inner(), 0.3, [Some(-1.0), None]).unwrap();
    let figures = [all.active, all.size, all.saturated].map(|figure| vec![figure as f32]);
    let all =
        [layer, conv, contraction, bias, sloped, vec![all.peak], figures.to_vec()].into_iter().flatten().flatten();
    all.fold(0xcbf2_9ce4_8422_2325, |hash, value| (hash ^ u64::from(value.to_bits())).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    const CHILD: &str = "AE_FINGERPRINT";
    if std::env::var_os(CHILD).is_some() {
        return println!("fingerprint {:x} on {} threads", fingerprint(), crate::threads::count());
    }
    // In a process of its own: other tests draw from the same generator.
    let on = |threads: &str| {
        let name = "tests::threads::results_do_not_depend_on_the_number_of_threads";
        let mut child = std::process::Command::new(std::env::current_exe().expect("this program"));
        let child = child.args([name, "--exact", "--nocapture"]).env(CHILD, "1").env("RAYON_NUM_THREADS", threads);
        let output = String::from_utf8(child.output().expect("this program can be started").stdout).expect("text");
        let found = output.lines().find_map(|line| line.split_once("fingerprint ")?.1.strip_suffix(" threads"));
        let (fingerprint, count) =
            found.and_then(|found| found.split_once(" on ")).unwrap_or_else(|| panic!("{output}"));
        // One more where other programs use the cores, as other tests do.
        let wanted: usize = threads.parse().expect("a number");
        let count: usize = count.parse().expect("a number");
        assert!(count == wanted || wanted > 1 && count == wanted + 1, "{output}");
        fingerprint.to_string()
    };
    let one = on("1");
    assert_eq!(on("2"), one);
    assert_eq!(on("5"), one);
}

#[test]
fn tests_pass_with_fewer_instructions() {
    if std::env::var_os("AE_KERNELS").is_some() {
        return; // this is one of the runs below
    }
    for level in ["avx2", "any"] {
        let tests = std::process::Command::new(std::env::current_exe().expect("this program"))
            .env("AE_KERNELS", level)
            .output();
        let tests = tests.expect("this program can be started");
        assert!(tests.status.success(), "AE_KERNELS={level}:\n{}", String::from_utf8_lossy(&tests.stdout));
    }
}
