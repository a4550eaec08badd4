#!/bin/bash
# Several processes on one machine, to try what will run on several hosts.
#
#   PROCESSES=2 DEVICES=4 experiments/pretraining/launch/local.sh CONFIG.py --run DIR [...]
#
# DEVICES (1) are simulated on the CPU, in each process. SIGTERM or an interrupt is passed on to
# all, as a cluster would; the exit status is the first one that is not 0.
set -uo pipefail

count=${PROCESSES:-2}
address=127.0.0.1:${PORT:-29400}
export JAX_PLATFORMS=cpu XLA_FLAGS="--xla_force_host_platform_device_count=${DEVICES:-1}"
started=()
for index in $(seq 0 $((count - 1))); do
    where=(--coordinator "$address" --process-count "$count" --process-index "$index")
    [ "$count" -eq 1 ] && where=()
    "${MEDJAX:-medjax}" train "$@" "${where[@]}" &
    started+=($!)
done
trap 'kill -TERM "${started[@]}" 2>/dev/null' TERM INT
status=0
for process in "${started[@]}"; do
    wait "$process"
    code=$?
    # A signal to this script ends the wait, not the process.
    while kill -0 "$process" 2>/dev/null; do
        wait "$process"
        code=$?
    done
    [ "$status" -eq 0 ] && status=$code
done
exit "$status"
