#!/usr/bin/env bash
# parallel.sh PARTS INPUT OUTDIR [OPTIONS]: with GNU parallel, one process of one thread for each core.
#
# Each part is a job: one that fails or is killed is tried again and goes on where it stopped, and after a power cut the whole command
# may be given again. Several machines that see INPUT and OUTDIR under the same names, and have `translate` on their paths, take part
# with PARALLEL='--sshloginfile nodes'. Take some times more parts than there are cores, so that the last ones end together.
#
# When it has ended well, `cat OUTDIR/part-*` is what `translate OPTIONS INPUT` prints, byte for byte.
set -euo pipefail
parts=$1 input=$2 outdir=$3
shift 3
mkdir -p "$outdir"
# seq -w writes 01 to 16, so that names sort; --shard 01/16 is 1/16.
seq -w 1 "$parts" | parallel --will-cite --retries 4 --joblog "$outdir/joblog" --quote \
    "${TRANSLATE:-translate}" --threads 1 --shard "{}/$parts" --resume -o "$outdir/part-{}" "$@" "$input"
