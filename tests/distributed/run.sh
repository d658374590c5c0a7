#!/usr/bin/env bash
# run.sh PROGRAM [PYTHON]: runs everything in examples/distributed/, kills processes in the middle of their work, and compares the bytes
# with those of one process.
#
# PYTHON is one that has what requirements.txt lists, for Spark; it, a Java runtime (17 or later) and GNU parallel may be missing, and
# what needs them is then skipped, unless CI=true. TIMES says how often the text is repeated; an unoptimised program needs no more than
# TIMES=10. There is no Slurm and no Kubernetes here: what they would run is run by a loop.
set -euo pipefail
examples=$(cd "$(dirname "$0")/../../examples/distributed" && pwd)
program=$(realpath "$1")
python=${2:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0 skipped=0

passed_if() { # NAME COMMAND…
    local name=$1
    shift
    if "$@"; then echo "ok       $name"; else echo "FAILED   $name"; failed=$((failed + 1)); fi
}
skip() { # NAME WHY
    echo "SKIPPED  $1: $2"
    skipped=$((skipped + 1))
}
same() { cmp "$work/expected" "$1"; }

# PID and all processes below it, with their names.
tree() { # PID
    ps -eo pid=,ppid=,comm= | awk -v top="$1" '
        { parent[$1] = $2; name[$1] = $3 }
        END { for (pid in parent) { at = pid; while (at in parent && at != top) at = parent[at]; if (at == top) print pid, name[pid] } }'
}
# A `translate` in the tree of PID that has computed for some tenths of a second, so is in the middle of its work. Fails if PID ends before.
one_at_work() { # PID
    local pid ticks
    while kill -0 "$1" 2>/dev/null; do
        for pid in $(tree "$1" | awk '$2 == "translate" { print $1 }'); do
            ticks=$(awk '{ print $14 + $15 }' "/proc/$pid/stat" 2>/dev/null) || continue
            if [ "${ticks:-0}" -ge 40 ]; then
                echo "$pid"
                return
            fi
        done
        sleep 0.02
    done
    return 1
}
# Runs a command and kills one `translate` in its tree; its status is that of the command.
with_a_kill() { # SIGNAL COMMAND…
    local signal=$1 status=0 running one
    shift
    "$@" &
    running=$!
    if one=$(one_at_work "$running") && kill "-$signal" "$one" 2>/dev/null; then killed=$((killed + 1)); fi
    wait "$running" || status=$?
    return "$status"
}

mkdir "$work/bin"
ln -s "$program" "$work/bin/translate"
export PATH="$work/bin:$PATH" TRANSLATE_PRECISION=int8 TRANSLATE_BEAM_SIZE=1

for number in $(seq "${TIMES:-400}"); do
    printf 'Das ist Nummer %d.\r\n\nEin\rRest, %d Mal.\n  \n' "$number" "$number"
    sed "s/\$/ ($number)/" "$examples/../everyday.de"
done >"$work/input.txt"
printf 'Der letzten Zeile fehlt das Ende.' >>"$work/input.txt"
echo "$(awk 'END { print NR }' "$work/input.txt") lines"
translate "$work/input.txt" >"$work/expected"

# GNU parallel.
if command -v parallel >/dev/null; then
    killed=0
    with_a_kill KILL "$examples/parallel.sh" 5 "$work/input.txt" "$work/parallel" 2>"$work/log" || cat "$work/log"
    cat "$work"/parallel/part-* >"$work/output"
    passed_if "GNU parallel, $killed process killed" test "$killed" -eq 1
    passed_if "GNU parallel, the bytes" same "$work/output"
    parallel --will-cite --pipe --keep-order --block 100k translate --threads 1 <"$work/input.txt" >"$work/output"
    passed_if "GNU parallel with a pipe" same "$work/output"
else
    skip "GNU parallel" "it is not installed"
fi

# What Slurm would do: srun runs the rest of its line, scontrol has the part run again.
cat >"$work/bin/srun" <<'S'
#!/bin/sh
while case $1 in --*) ;; *) false ;; esac; do shift; done
exec "$@"
S
cat >"$work/bin/scontrol" <<S
#!/bin/sh
[ "\$1" = requeue ] && echo "\$2" >"$work/again"
S
chmod +x "$work/bin/srun" "$work/bin/scontrol"
export SLURM_CPUS_PER_TASK=1 SLURM_ARRAY_JOB_ID=17
killed=0
for SLURM_ARRAY_TASK_ID in 3 1 2; do
    export SLURM_ARRAY_TASK_ID SLURM_RESTART_COUNT=0
    part=("$examples/slurm.sh" 3 "$work/input.txt" "$work/slurm")
    for signal in KILL TERM; do
        rm -f "$work/again"
        with_a_kill "$signal" "${part[@]}" 2>>"$work/log" || true
        passed_if "Slurm, part $SLURM_ARRAY_TASK_ID is queued again after SIG$signal" test "$(cat "$work/again")" = "17_$SLURM_ARRAY_TASK_ID"
        SLURM_RESTART_COUNT=$((SLURM_RESTART_COUNT + 1))
    done
    "${part[@]}"
done
cat "$work"/slurm/part-* >"$work/output"
passed_if "Slurm, $killed processes killed" test "$killed" -eq 6
passed_if "Slurm, the bytes" same "$work/output"
rm "$work/again"
SLURM_ARRAY_TASK_ID=4 "${part[@]}" 2>/dev/null && status=0 || status=$?
passed_if "Slurm, wrong usage is not queued again" test "$status" -eq 2 -a ! -e "$work/again"

# What Kubernetes would do: the command of the Job, with its volume elsewhere.
mkdir "$work/data"
ln -s "$work/input.txt" "$work/data/input.txt"
script=$(awk '/^ *- \|$/ { inside = 1; next } inside && /^              / { print substr($0, 15); next } { inside = 0 }' "$examples/kubernetes.yaml")
test -n "$script"
script=${script//\/data/$work/data}
export PARTS=3
killed=0
for JOB_COMPLETION_INDEX in 1 2 0; do
    export JOB_COMPLETION_INDEX
    for expected in KILL=137 TERM=143; do
        with_a_kill "${expected%=*}" sh -ceu "$script" 2>>"$work/log" && status=0 || status=$?
        passed_if "Kubernetes, pod $JOB_COMPLETION_INDEX ends with $status after $expected" test "$status" -eq "${expected#*=}"
    done
    sh -ceu "$script"
done
cat "$work"/data/out/part-* >"$work/output"
passed_if "Kubernetes, $killed processes killed" test "$killed" -eq 6
passed_if "Kubernetes, the bytes" same "$work/output"

# Spark, with two worker processes of one core each.
if ! "$python" -c 'import pyspark, pandas, pyarrow' 2>/dev/null; then
    skip "Spark" "$python has no pyspark, pandas and pyarrow"
elif ! command -v java >/dev/null; then
    skip "Spark" "there is no Java runtime"
else
    SPARK_HOME=$("$python" -c 'import os, pyspark; print(os.path.dirname(pyspark.__file__))')
    PYSPARK_PYTHON=$("$python" -c 'import sys; print(sys.executable)')
    export SPARK_HOME PYSPARK_PYTHON SPARK_LOCAL_IP=127.0.0.1 SPARK_LOCAL_DIRS="$work"
    spark() { # METHOD OUTPUT
        (cd "$work" && exec "$SPARK_HOME/bin/spark-submit" --master 'local-cluster[2,1,1024]' --conf spark.ui.enabled=false \
            --conf spark.driver.host=127.0.0.1 "$examples/spark_translate.py" "$1" "$work/input.txt" "$2" 4 translate --threads 1)
    }
    killed=0
    with_a_kill KILL spark pipe "$work/pipe" 2>"$work/spark.log" || tail -n 40 "$work/spark.log"
    cat "$work"/pipe/part-* >"$work/output"
    passed_if "Spark, rdd.pipe, $killed process killed, $(grep -c 'Lost task' "$work/spark.log") task lost" test "$killed" -eq 1
    passed_if "Spark, rdd.pipe, the bytes" same "$work/output"

    killed=0
    spark table "$work/table" 2>"$work/spark.log" &
    running=$!
    if one=$(one_at_work "$running"); then
        # Not the process itself but the executor over it, with all it has.
        while [ "$one" -gt 1 ] && ! grep -qs CoarseGrainedExecutorBackend <(tr '\0' '\n' <"/proc/$one/cmdline"); do
            one=$(ps -o ppid= -p "$one" | tr -d ' ')
        done
        if [ "$one" -gt 1 ] && kill -KILL "$one"; then killed=1; fi
    fi
    wait "$running" || tail -n 40 "$work/spark.log"
    "$python" - "$work/table" "$work/output" <<'P'
import sys
import pandas
table = pandas.read_parquet(sys.argv[1]).sort_values("position")
with open(sys.argv[2], "w", encoding="utf8", newline="") as output:
    # A table keeps a line break inside a text, where plain text has a space.
    output.writelines(translation.replace("\r", " ") + "\n" for translation in table.translation)
P
    passed_if "Spark, mapInPandas, $killed executor killed, $(grep -c 'Lost executor' "$work/spark.log") lost" test "$killed" -eq 1
    passed_if "Spark, mapInPandas, the bytes" same "$work/output"
fi

echo "$failed failed, $skipped skipped"
if [ "$skipped" -gt 0 ] && [ "${CI:-}" = true ]; then exit 1; fi
[ "$failed" -eq 0 ]
