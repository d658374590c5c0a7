#!/usr/bin/env bash
#SBATCH --job-name=translate
#SBATCH --array=1-16
#SBATCH --cpus-per-task=4
#SBATCH --mem-per-cpu=200M
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@60
# job=$(sbatch --parsable slurm.sh 16 INPUT OUTDIR [OPTIONS])
# sbatch --dependency=afterok:"$job" --wrap 'cat OUTDIR/part-* > OUTPUT'
#
# INPUT and OUTDIR are on a file system that all nodes share. How many parts there are is said, not taken from
# SLURM_ARRAY_TASK_COUNT: after `sbatch --array=3,7 slurm.sh 16 …`, for two parts that are to be made again, that would be 2.
#
# A node that is lost or taken away makes Slurm queue the part again. A minute before the time limit `translate` is sent SIGTERM and ends
# with 143, all finished lines written; then, and after an error that may pass, the part is queued again by what follows here.
set -euo pipefail
parts=$1 input=$2 outdir=$3
shift 3
mkdir -p "$outdir"
status=0
srun --ntasks=1 "${TRANSLATE:-translate}" --threads "${SLURM_CPUS_PER_TASK:-1}" --shard "$SLURM_ARRAY_TASK_ID/$parts" \
    --resume -o "$outdir/part-$(printf %05d "$SLURM_ARRAY_TASK_ID")" "$@" "$input" || status=$?
# 2 is wrong usage, which stays wrong.
if [ "$status" -ne 0 ] && [ "$status" -ne 2 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 5 ]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit "$status"
