#!/bin/sh
# Every suite and whole network that figures are published of, one after the other: PYTHON=... sh benchmarks/whole.sh [DIRECTORY]
# Nothing else may run on the machine meanwhile. A suite that fails is named, the others run.
set -u
python=${PYTHON:-python}
results=${1:-benchmarks/results}
failed=

bench() {
    name=$1
    shift
    echo "== $name: $*" >&2
    "$python" -m winograd.bench --wide --json "$results/bench_$name.json" "$@" || failed="$failed $name"
}

for network in c3d i3d_rgb r3d_18 mc3_18 r2plus1d_18 ip_csn_50 p3d_63 eco_lite_conv3d vgg16 random; do
    bench "whole_$network" --suite "$network"
done
bench stems --suite stems --tolerance 2e-6 --repeats 21
bench c3d_stem --suite c3d --layer conv1 --tolerance 2e-6 --repeats 21
for network in r3d_18 r2plus1d_18 i3d_rgb; do
    bench "$network" --suite "$network" --only stride1 --tolerance 2e-6
done
bench c3d_batch1 --suite c3d_stack --tolerance 2e-6 --repeats 21
bench c3d_batch1_1e-6 --suite c3d_stack --tolerance 1e-6 --repeats 21
bench c3d_batch8 --suite c3d_stack --tolerance 2e-6 --batch 8 --repeats 11
bench c3d_batch8_1e-6 --suite c3d_stack --tolerance 1e-6 --batch 8 --repeats 9
THP_MEM_ALLOC_ENABLE=1
export THP_MEM_ALLOC_ENABLE
bench c3d_batch8_large_pages --suite c3d_stack --tolerance 2e-6 --batch 8 --repeats 7

unset THP_MEM_ALLOC_ENABLE
for network in c3d r3d_18 mc3_18 r2plus1d_18 i3d_rgb eco_lite_conv3d p3d_63 p3d_199 ip_csn_50 ir_csn_50; do
    "$python" -m winograd.bench --network "$network" --repeats 9 --json "$results/networks_$network.json" ||
        failed="$failed network_$network"
done
"$python" benchmarks/training.py --layer conv2 --layer conv3b --network r3d_18 --parts --json "$results/training.json" ||
    failed="$failed training"
"$python" benchmarks/all_networks.py --clip examples/clips/bigbuckbunny.mp4 --json "$results/all_networks.json" ||
    failed="$failed all_networks"
"$python" benchmarks/whole_network.py --clip examples/clips/bigbuckbunny.mp4 --json "$results/whole_network.json" --repeats 7 ||
    failed="$failed whole_network"

[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
