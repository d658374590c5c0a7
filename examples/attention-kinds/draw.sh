#!/bin/sh
# Draws the pictures of docs/attention-kinds.md: examples/attention-kinds/draw.sh [TRANSLATE]
set -eu
cd "$(dirname "$0")"
translate=${1:-translate}
out=../../docs/attention-kinds
mkdir -p "$out"
for model in */; do
  kind=${model%/}
  [ "$kind" = none ] && continue
  heads=
  [ "$kind" = two-heads ] && heads="--head all"
  # shellcheck disable=SC2086
  echo "3 1 4 1 5 9" | "$translate" attn-dump --model "$kind" --format svg $heads > "$out/$kind.svg"
done
