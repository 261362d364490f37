#!/bin/bash
# A training under Slurm: sbatch slurm.sh MODEL RECORDS.jsonl OUTPUT
# In a folder where compact-train is installed. The command itself and not npx, which passes on SIGINT and SIGTERM alone.
# Two minutes before the limit Slurm sends SIGUSR1: the run writes a checkpoint, ends with 130, and is queued again.
#SBATCH --job-name=compact-train
#SBATCH --nodes=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=04:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
# For a GPU: #SBATCH --gres=gpu:1
set -u

srun node_modules/.bin/compact-train finetune "$1" --data "$2" --output-directory "$3" --resume-from-checkpoint auto --json
status=$?
[ "$status" -eq 130 ] && scontrol requeue "$SLURM_JOB_ID"
exit "$status"
