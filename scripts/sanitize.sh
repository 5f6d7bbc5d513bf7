#!/usr/bin/env bash
# The tests of ae-kernels, the crate with unsafe code, where every wrong access to memory and every race is seen.
#
#     scripts/sanitize.sh                      # all of them: some twenty minutes from nothing on two cores
#     scripts/sanitize.sh address thread valgrind
#
# address: AddressSanitizer and LeakSanitizer. thread: ThreadSanitizer. Both need a nightly toolchain, and everything but the standard library is
# compiled for them. valgrind: memcheck, which also sees what the assembly of matrix products does; it needs valgrind, and knows no AVX-512.
# Each runs three times, with the kernels for AVX-512 (where the machine has it), for AVX2 and for any machine.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
host=x86_64-unknown-linux-gnu
tools=${*:-address thread valgrind}

# The program of the unit tests of ae-kernels.
built() {
    sed -n 's/.*Executable unittests .*(\(.*ae_kernels-[0-9a-f]*\))/\1/p' "$1"
}

for tool in $tools; do
    log=$(mktemp)
    case $tool in
    address | thread)
        flags=-Zsanitizer=$tool
        # The standard library is not compiled for ThreadSanitizer.
        [ "$tool" = thread ] && flags="$flags -Cunsafe-allow-abi-mismatch=sanitizer"
        RUSTFLAGS=$flags CARGO_TARGET_DIR=$target/sanitize-$tool cargo +nightly test --locked -p ae-kernels --lib --no-run --target $host \
            --config 'profile.dev.package.burn-flex.opt-level=1' 2>&1 | tee "$log" | grep -E '^error' || true
        ;;
    valgrind) cargo test --locked --workspace --lib --no-run 2>&1 | tee "$log" | grep -E '^error' || true ;;
    *) echo "no such tool: $tool" && exit 1 ;;
    esac
    program=$(built "$log")
    [ -x "$program" ] || { cat "$log"; exit 1; }
    for kernels in best avx2 any; do
        [ "$tool $kernels" = 'valgrind best' ] && continue
        echo "== $tool, kernels: $kernels"
        run=("$program" --quiet)
        # The largest test, most of it sorting by Burn, would take valgrind longer than all others together.
        [ "$tool" = valgrind ] && run=(valgrind --quiet --error-exitcode=1 --leak-check=full --errors-for-leak-kinds=definite "${run[@]}" --skip sparse_codes)
        AE_KERNELS=$kernels ASAN_OPTIONS=detect_stack_use_after_return=1 "${run[@]}"
    done
done
