#!/bin/sh
# Runs every fuzz target for some seconds: fuzz/run.sh [SECONDS [TARGET...]]
#
# It starts from seeds/ (written by src/internals/seeds.rs) and from what earlier runs have left in corpus/.
#
# The flags are those of `cargo fuzz run`, which works too; written out, they need neither cargo-fuzz
# nor a nightly toolchain.
set -eu
cd "$(dirname "$0")"
seconds=${1:-20}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- datatype matching packet plan

# A --target keeps the flags away from build scripts.
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="--cfg fuzzing -Cdebug-assertions -Zsanitizer=address -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
-Cllvm-args=-simplifycfg-branch-fold-threshold=0 -Ccodegen-units=1"
cargo build --locked --release --bins --target "$host"

for name in "$@"; do
    echo "fuzzing $name for $seconds s"
    mkdir -p "corpus/$name" "artifacts/$name"
    "target/$host/release/$name" -max_total_time="$seconds" -artifact_prefix="artifacts/$name/" \
        -print_final_stats=1 -print_funcs=0 -verbosity=0 "corpus/$name" "seeds/$name"
done
