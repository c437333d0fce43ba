#!/usr/bin/env bash
# Peak memory of qcc on a network of large layers, against what its constants justify:
#   tests/memory.sh FOLDER_OF_BINARIES MODEL CONSTANT_BYTES [OPTION..]
# At most 6 x (file + constants made from it) + 300 MB; exit code 3 where it is more.
set -euo pipefail
qcc=$1/qcc
model=$2
constants=$3
shift 3
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
peak=$(python3 - "$qcc" "$model" -q -o "$out/p.bin" "$@" <<'PY'
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
PY
)
limit=$((6 * ($(stat -c %s "$model") + constants) + 300000000))
echo "$(basename "$model"): peak $((peak / 1000000)) MB of $((limit / 1000000)) MB"
[ "$peak" -le "$limit" ] || exit 3
