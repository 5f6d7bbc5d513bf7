#!/usr/bin/env bash
# Writes .ci/advisories.md anew from the public RustSec database: scripts/refresh_advisories.sh [CLONE]
#
# CLONE is a clone of https://github.com/rustsec/advisory-db, bare or not; without one, it is cloned for the moment. Of
# every advisory its header and its title are kept, which is what `cargo deny` reads, and not its text. All of them are
# kept, not only those about crates of Cargo.lock: a dependency that is added tomorrow is checked, too.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ $# -gt 0 ]; then
    clone=$1
else
    clone=$work/clone
    git clone --quiet --depth 1 https://github.com/rustsec/advisory-db "$clone"
fi
commit=$(git -C "$clone" rev-parse HEAD)
date=$(git -C "$clone" show -s --format=%cs HEAD)
git -C "$clone" archive HEAD crates | tar -x -C "$work"
count=$(find "$work/crates" -name '*.md' | wc -l)
{
    cat <<END
# Advisories about Rust crates, for \`cargo deny\`

Written by \`scripts/refresh_advisories.sh\`: header and title of each of the $count advisories in the RustSec advisory database
(https://github.com/rustsec/advisory-db), of

    commit $commit
    date $date

They are in the public domain (CC0 1.0), except those whose header has a \`license\`: these are adapted from the GitHub Security Advisory
database under Creative Commons Attribution 4.0 (CC BY 4.0), and their \`url\` names the source.

END
    # Up to the first title below the header.
    find "$work/crates" -name '*.md' -print0 | LC_ALL=C sort -z | xargs -0 awk '
        FNR == 1 { header = 1; titled = 0 }
        header { print; if (FNR > 1 && /^```/) header = 0; next }
        !titled && /^# / { print "\n" $0 "\n"; titled = 1 }'
} >"$work/advisories.md"
mv "$work/advisories.md" .ci/advisories.md
echo "$count advisories of $date"
