#!/bin/bash
# One process on every host of a TPU VM slice, by ssh.
#
#   TPU=mae-l ZONE=us-west4-a \
#       experiments/pretraining/launch/tpu_vm.sh CONFIG.py --run DIR [--parameter ...]
#
# FOLDER (medjax) on each host has the project with its environment in .venv, made by
# 'pip install -e .[tpu]'; DIR is on a disk that all hosts share. The same command goes on with
# a run that was stopped.
set -euo pipefail

exec gcloud compute tpus tpu-vm ssh "$TPU" \
    --zone "$ZONE" \
    --worker all \
    --command "cd ${FOLDER:-medjax} && $(printf '%q ' .venv/bin/medjax train "$@" --coordinator auto)"
