#!/usr/bin/env bash
# A project of its own that uses ae-model with the lines that README shows: the first TOML block that names ae-model,
# and the first Rust block after it, as the body of `main`.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT
cargo new --quiet --name outside "$project/outside"
cd "$project/outside"

# The block of README in this language that comes first behind the line that says `ae-model`.
block() {
    awk -v fence="\`\`\`$1" '
        $0 == fence { inside = 1; text = ""; next }
        /^```/ && inside { inside = 0; if (text ~ /ae[-_]model/) { printf "%s", text; exit } }
        inside { text = text $0 "\n" }
    ' "$root/README.md"
}

block toml | sed "s|path = \"[^\"]*crates/ae-model\"|path = \"$root/crates/ae-model\"|" >manifest
grep -q 'ae-model' manifest || { echo "README.md shows no Cargo.toml line with ae-model"; exit 1; }
sed -i '/^\[dependencies\]/d' Cargo.toml
cat manifest >>Cargo.toml
body=$(block rust)
[ -n "$body" ] || { echo "README.md shows no Rust code that uses ae_model"; exit 1; }
printf 'fn main() {\n%s\n}\n' "$body" >src/main.rs
# The versions that are tested here.
cp "$root/Cargo.lock" .
cargo run --quiet
echo "a project of its own builds and runs README's lines"
