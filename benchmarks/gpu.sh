#!/bin/sh
# All tables of the docs that need a GPU, in at most eight minutes: 16 fused replicates against one after another, their
# memory, precision (AMP) with utilisation, determinism, a verdict of 10 + 10 replicates.
#
#   benchmarks/gpu.sh > tables.md         on the first GPU
#   benchmarks/gpu.sh cpu                 a dry run of about two minutes, without one: little of everything
#
# Each part has its own limit in seconds; one that runs into it, or fails, says so, and the next one begins. A dry run has
# ten times as long: no GPU is paid for by the hour, and other work may hold the processors.
set -u
cd "$(dirname "$0")/.."
device=${1:-cuda}
python=${PYTHON:-python}
failed=0
patience=1
[ "$device" = cpu ] && patience=10

part() {  # part SECONDS SCRIPT ARGUMENTS…
    limit=$(($1 * patience)); shift
    timeout "$limit" "$python" "benchmarks/$@"; status=$?
    [ "$status" = 0 ] || { failed=1; echo "gpu.sh: $1 ended with $status within its limit of $limit s" >&2; }
}

if [ "$device" = cpu ]; then
    part 60 throughput.py --device cpu --replicates 4 --rounds 1 --nets perceptron
    part 60 memory.py --device cpu --replicates 3 --nets perceptron
    quick=--quick
else
    part 150 throughput.py --device "$device" --replicates 16 --rounds 2
    part 80 memory.py --device "$device" --replicates 16
    quick=
fi
part 100 gpu.py precision --device "$device" $quick
part 60 gpu.py determinism --device "$device" $quick
part 90 gpu.py verdict --device "$device" $quick
exit $failed
