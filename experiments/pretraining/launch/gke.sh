#!/bin/bash
# One process a TPU host, on GKE, by XPK (pip install xpk).
#
#   CLUSTER=pods TPU_TYPE=v5litepod-256 IMAGE=REGISTRY/medjax:TAG NAME=mae-l \
#       experiments/pretraining/launch/gke.sh CONFIG.py --run DIR [--parameter ...]
#
# IMAGE has 'medjax[tpu]' and the config; DIR is on a volume that every pod mounts. PROJECT and
# ZONE are gcloud's own where not given; SLICES (1) says how many slices work together. A pod
# that is to go gets SIGTERM and five minutes, in which the run saves itself; the pods are
# started again, up to RESTARTS (100) times, and the run goes on from there.
set -euo pipefail

exec xpk workload create \
    --cluster "$CLUSTER" \
    --workload "$NAME" \
    --tpu-type "$TPU_TYPE" \
    --num-slices "${SLICES:-1}" \
    --docker-image "$IMAGE" \
    --max-restarts "${RESTARTS:-100}" \
    --restart-on-user-code-failure \
    --termination-grace-period-seconds 300 \
    ${PROJECT:+--project "$PROJECT"} \
    ${ZONE:+--zone "$ZONE"} \
    --command "$(printf '%q ' "${MEDJAX:-medjax}" train "$@" --coordinator auto)"
