#!/bin/bash
# One process a GPU, on any number of nodes; stopped runs go on by themselves.
#
#   sbatch --nodes 4 experiments/pretraining/launch/slurm.sh CONFIG.py --run DIR [--parameter ...]
#
# DIR is on a disk that all nodes share. Two minutes before the time is up, and when the job is
# preempted, Slurm sends SIGTERM: the run saves itself and exits with 143, and is queued anew.
#SBATCH --job-name medjax
#SBATCH --gpus-per-node 8
#SBATCH --ntasks-per-node 8
#SBATCH --cpus-per-task 8
#SBATCH --signal TERM@120
#SBATCH --requeue
#SBATCH --open-mode append
set -uo pipefail

srun "${MEDJAX:-medjax}" train "$@" --coordinator auto
status=$?
if [ "$status" -eq 143 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
