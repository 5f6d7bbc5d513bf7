#!/usr/bin/env bash
# The tests of ae-kernels, the crate with unsafe code, where every wrong access to memory is seen.
#
#     scripts/sanitize.sh               # both: some fifteen minutes from nothing on two cores
#     scripts/sanitize.sh address
#
# address: AddressSanitizer and LeakSanitizer, with the kernels for AVX-512 (where the machine has it), for AVX2 and for
# any machine. It needs a nightly toolchain, and everything but the standard library is compiled for it. valgrind:
# memcheck, which also sees what the assembly of matrix products does, and what is read before it is written; it needs
# valgrind, and knows no AVX-512.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# The program of the unit tests of ae-kernels, as cargo names it.
built() {
    program=$(sed -n 's/.*Executable unittests .*(\(.*ae_kernels-[0-9a-f]*\))/\1/p' "$log")
    [ -x "$program" ] || { cat "$log"; exit 1; }
}

for tool in ${*:-address valgrind}; do
    case $tool in
    address)
        RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=$target/sanitize cargo +nightly test --locked -p ae-kernels --lib --no-run \
            --target x86_64-unknown-linux-gnu --config 'profile.dev.package.burn-flex.opt-level=1' >"$log" 2>&1 || true
        built
        for kernels in best avx2 any; do
            echo "== address, kernels: $kernels"
            AE_KERNELS=$kernels ASAN_OPTIONS=detect_stack_use_after_return=1 "$program" --quiet
        done
        ;;
    valgrind)
        cargo test --locked --workspace --lib --no-run >"$log" 2>&1 || true
        built
        echo '== valgrind, kernels: avx2'
        # The largest test, most of it sorting by Burn, would take longer than all others together.
        AE_KERNELS=avx2 valgrind --quiet --error-exitcode=1 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
            "$program" --quiet --skip sparse_codes
        ;;
    *) echo "no such tool: $tool (address, valgrind)" && exit 1 ;;
    esac
done
